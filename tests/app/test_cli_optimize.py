"""``lift optimize`` in a process of its own, where nothing else has read the user's models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_cli import lift

OWN = """
[own]
backend = "vllm"
urls = ["http://127.0.0.1:1/v1"]
price = { million_output = 1.0, as_of = 2026-01-02 }

[own-too]
backend = "vllm"
urls = ["http://127.0.0.1:2/v1"]
price = { million_output = 10.0, as_of = 2026-01-02 }
"""


@pytest.mark.parametrize("model", ["own", "own>own-too"])
def test_a_job_may_name_a_model_of_the_users_own(model: str, tmp_path: Path) -> None:
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(OWN)

    job = ("optimize", "--explain", "--model", model, "--runs", str(tmp_path / "runs"))
    done = lift(*job, LIFT_CATALOGUE=str(catalogue))

    assert done.returncode == 0, done.stderr
    assert "## Space: " in done.stdout


def test_racing_and_fresh_samples_are_options(tmp_path: Path) -> None:
    job = ("optimize", "--explain", "--dev-tasks", "20", "--runs", str(tmp_path))
    plain = lift(*job)
    never = lift(*job, "--reevaluate", "0", "--drop-alpha", "0")
    wrong = lift(*job, "--drop-alpha", "1.5")

    assert "| re-evaluation | at most 2 trials of 20 dev tasks |" in plain.stdout
    assert never.returncode == 0
    assert "re-evaluation" not in never.stdout
    assert wrong.returncode == 2
    assert "drop_alpha" in wrong.stderr


@pytest.mark.parametrize("explain", [(), ("--explain",)])
def test_half_a_shared_study_is_refused(explain: tuple[str, ...], tmp_path: Path) -> None:
    half = ("--storage", f"sqlite:///{tmp_path / 'study.db'}")
    done = lift("optimize", *explain, *half, "--runs", str(tmp_path / "runs"))

    assert done.returncode == 2
    assert "needs both --storage URL and --study NAME" in done.stderr
    assert not [*tmp_path.iterdir()]
