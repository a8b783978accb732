"""Racing: the promise over all orders of small sets, exactly; and what evidence may do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import racing as benchmark
from optimizers.racing import is_lost, log_evidence, losses

LOSSES = st.lists(st.sampled_from((-1, 0, 1)), min_size=1, max_size=40)


def evidence(lost: Sequence[int], tasks: int) -> np.ndarray:
    path: np.ndarray = np.exp(log_evidence(lost, tasks))
    return path


@given(st.lists(st.sampled_from((-1, 0, 1)), min_size=1, max_size=5), st.floats(0.02, 0.9))
def test_a_trial_that_would_draw_level_is_rarely_given_up(lost: list[int], alpha: float) -> None:
    while sum(lost) > 0:
        lost[lost.index(1)] = 0
    orders = set(permutations([*lost, 1, -1]))
    paths = np.array([log_evidence(order, len(lost) + 2) for order in orders])
    wrong = (paths >= -np.log(alpha)).any(axis=1).mean()
    assert wrong <= alpha
    assert (np.exp(paths).mean(axis=0) <= 1 + 1e-9).all()


def test_the_promise_is_not_met_by_never_giving_up() -> None:
    level = [1, 1, 1, -1, -1, -1, 0]
    paths = [log_evidence(order, len(level)) for order in set(permutations(level))]
    given_up = np.mean([(path >= -np.log(0.5)).any() for path in paths])
    assert 0.1 < given_up <= 0.5


@given(LOSSES, st.integers(0, 200), st.data())
def test_more_losses_are_more_evidence(lost: list[int], more: int, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, len(lost) - 1))
    worse = [*lost]
    worse[where] = min(1, worse[where] + 1)
    tasks = len(lost) + more
    before, after = log_evidence(lost, tasks), log_evidence(worse, tasks)
    assert (after >= before - 1e-9).all()


@given(st.lists(st.sampled_from((-1, 0)), min_size=1, max_size=40), st.integers(0, 200))
def test_without_a_loss_there_is_no_evidence(lost: list[int], more: int) -> None:
    assert (evidence(lost, len(lost) + more) <= 1 + 1e-9).all()


@given(st.integers(1, 100), st.floats(0.001, 0.999))
def test_agreement_says_nothing(tasks: int, alpha: float) -> None:
    assert evidence([0] * tasks, tasks) == pytest.approx(1)
    assert not is_lost([True] * tasks, [True] * tasks, alpha)


@given(LOSSES, st.integers(1, 30))
def test_the_same_losses_weigh_more_the_fewer_tasks_are_left(lost: list[int], more: int) -> None:
    behind = np.cumsum(lost).min() >= 0
    early = log_evidence(lost, len(lost) + more + 1)[-1]
    late = log_evidence(lost, len(lost) + more)[-1]
    assert not behind or late >= early - 1e-9


@given(LOSSES, st.integers(0, 40))
def test_evidence_is_infinite_exactly_when_the_trial_cannot_draw_level(
    lost: list[int], more: int
) -> None:
    tasks = len(lost) + more
    path = log_evidence(lost, tasks)
    hopeless = np.maximum.accumulate(np.cumsum(lost) > tasks - np.arange(1, len(lost) + 1))
    assert (np.isposinf(path) == hopeless).all()


@given(LOSSES, st.integers(0, 40), st.data())
def test_later_tasks_do_not_change_what_was_known(
    lost: list[int], more: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, len(lost)))
    tasks = len(lost) + more
    assert log_evidence(lost[:first], tasks) == pytest.approx(log_evidence(lost, tasks)[:first])


def test_ten_thousand_tasks_do_not_overflow() -> None:
    path = log_evidence([1] * 4_000 + [-1] * 6_000, 10_000)
    assert not np.isnan(path).any()
    assert path[3_999] > 1_000


def test_losses_are_paired_with_the_tasks_that_were_run() -> None:
    assert losses([True, False, True], [True, True, False, True]) == [0, 1, -1]


@pytest.mark.parametrize(("run", "lost"), [(5, False), (6, True)])
def test_of_eighty_tasks_six_lost_in_a_row_are_enough(run: int, lost: bool) -> None:
    assert is_lost([False] * run, [True] * 80, 0.05) == lost


def test_a_stricter_alpha_needs_more() -> None:
    trial, incumbent = [False] * 6, [True] * 80
    assert not is_lost(trial, incumbent, 0.001)
    assert is_lost([False] * 12, incumbent, 0.001)


def test_the_benchmark_counts_what_each_rule_gives_up() -> None:
    never = np.array([1, -1] * 40)
    assert benchmark.stops(never, 0.05) == (80, 80, 80)
    behind = np.array([1] * 20 + [0] * 60)
    assert benchmark.stops(behind, 0.05) == (61, 7, 6)
    level = np.array([1] * 20 + [-1] * 20 + [0] * 40)
    races = benchmark.race(iter([level, behind, never]), 0.05)
    assert races[:3] == (2, 1, 1)
    assert races.ran.tolist() == pytest.approx([(80 + 61 + 80) / 3, 94 / 3, 92 / 3, 80])


def test_the_benchmark_prints_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"label": name, "task_id": f"t{i}", "score": {"passed": i % every == 0}}
        for name, every in (("a", 1), ("b", 2), ("partly", 1))
        for i in range(4 if name == "partly" else 8)
    ]
    whole = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(whole + '{"label": "b", "ta')
    monkeypatch.setattr(benchmark, "SIZES", (8,))
    monkeypatch.setattr(sys, "argv", ["racing.py", str(tmp_path), "--repeats", "20"])
    benchmark.main()
    printed = capsys.readouterr().out
    assert "Recorded pairs of a; b: 2 draws" in printed
    assert printed.count("| 8 | 2 | 0/2 (0.0 %, 95 % CI 0–66 %) | 0/2 (") == 1
    assert printed.count("\n| 8 | ") == len(benchmark.DIFFERENCES) + 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--alpha", "0"], "--alpha lies between 0 and 1"),
        (["--alpha", "1"], "--alpha lies between 0 and 1"),
        (["--repeats", "0"], "--repeats is at least 1"),
        (["--repeats", "1", "."], "no two programs that ran on the same 4 tasks or more"),
    ],
)
def test_what_the_benchmark_cannot_count_is_refused_in_a_sentence(
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, "SIZES", ())
    monkeypatch.setattr(sys, "argv", ["racing.py", *options])
    with pytest.raises(SystemExit) as stopped:
        benchmark.main()
    assert said in f"{stopped.value.code}{capsys.readouterr().err}"
