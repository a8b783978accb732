"""What ``lift assess`` refuses before anything is spent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lift_sys.errors import ConfigError, LiftError, ModelError
from optimizers.assess import Rung
from tests.app.ladder_models import LARGE, SMALL, TASKS, Models, assess, install, write_tasks


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Models:
    return install(monkeypatch)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (("--floor", "0.9"), ConfigError, "0 < floor ≤ target < 1"),
        (("--target", "1"), ConfigError, "0 < floor ≤ target < 1"),
        (("--target", "nan"), ConfigError, "0 < floor ≤ target < 1"),
        (("--large", SMALL), ConfigError, "name another model with --large"),
        (("--small", "no-such"), ModelError, "unknown model 'no-such'"),
        (("--tuned", "no-such"), ModelError, "unknown model 'no-such'"),
        (("--claude", SMALL), ConfigError, "--small and --claude are both"),
        (("--tuned", LARGE), ConfigError, "--large and --tuned are both"),
        (("--budget", "tokens"), ConfigError, "is not KEY=VALUE"),
        (("--budget", "tokens=-1"), ConfigError, "--budget is wrong at tokens"),
        (("--budget", "tokens=5"), ConfigError, "one evaluation of all tasks takes at least"),
    ],
)
def test_bad_input_is_refused(
    script: Models, tmp_path: Path, options: tuple[str, ...], error: type[LiftError], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)) as refused:
        assess(tmp_path, *options)
    assert refused.value.exit_code == 2
    assert not script.asked
    assert not (tmp_path / "runs").exists()


def test_a_test_set_needs_the_word(script: Models, tmp_path: Path) -> None:
    write_tasks(tmp_path, "test")
    script.solves = {SMALL: TASKS}
    with pytest.raises(ConfigError, match="--open-test"):
        assess(tmp_path)
    with pytest.raises(ConfigError, match="leave --limit out"):
        assess(tmp_path, "--open-test", "--limit", "3")
    assert assess(tmp_path, "--open-test").stopped_at is Rung.ZERO_SHOT


def test_an_empty_set_is_refused(script: Models, tmp_path: Path) -> None:
    write_tasks(tmp_path, count=0)
    with pytest.raises(LiftError, match="no tasks"):
        assess(tmp_path)
