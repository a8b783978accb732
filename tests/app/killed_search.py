"""A search that is killed again and again: run by ``test_killed_search`` as a process of its own.

Usage: ``python -m tests.app.killed_search FOLDER KILLS``. Each start of the search is a fork of
this process, which has imported everything and does nothing else. The last line of the output is a
JSON object that says how many were killed, where, and how the searches ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import dspy
import optuna
from dspy.lm15 import Request, Response

from lift_sys.app import lines
from lift_sys.app.journal import open_journal
from lift_sys.app.store import RunDirectory
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.tasks import Task
from lift_sys.verdict import Score
from optimizers.evaluate import Evaluator
from optimizers.joint import JointSearch, SearchConfig
from optimizers.space import make_space
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.stages import Models
from tests.optimizers.searching import EXAMPLES, POOL, TASKS, verdict

SPACE: dict[str, tuple[Any, ...]] = {
    "temperature": (0.7, 0.3, 1.0),
    "quirks": ("off", "all"),
    "code_generator.seed": (0, 1, 2),
    "code_generator.max_tokens": (512, 1024),
}
CONFIG = SearchConfig(
    space=make_space({"demos": POOL.names[:1], **SPACE}, {}),
    first_points=(),
    trials=10,
    tokens=10**9,
    seed=3,
    tasks={task.id: task for task in TASKS},
    reevaluate=1,
)


class Death:
    """Kills this process at one of its steps.

    Args:
        at: Which step, from 1; 0 for never.
        torn: Whether a write that is the step gets half of its line to the disk.

    Attributes:
        steps: So far.
    """

    def __init__(self, at: int, *, torn: bool) -> None:
        self._at = at
        self._torn = torn
        self._lock = threading.Lock()
        self.steps = 0

    def step(self, what: str, path: Path | None = None, line: bytes = b"") -> None:
        """Count a step, and die if it is the one."""
        with self._lock:
            self.steps += 1
            if self.steps != self._at:
                return
            if path is not None and self._torn:
                with path.open("ab") as file:
                    file.write(line[: len(line) // 2])
            os.write(1, f"{what}{' of half a line' * self._torn * bool(line)}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


class Engine(ScriptedEngine):
    """Samples: its code depends on the request and on the seed."""

    def __init__(self, death: Death, slots: int) -> None:
        super().__init__(self._give, concurrency=slots)
        self._death = death

    def _give(self, request: Request) -> str:
        assert request.config.temperature > 0
        text = repr((request.system, request.messages, request.config.seed))
        return f"```python\ndef f():\n    return '{hashlib.sha256(text.encode()).hexdigest()}'\n```"

    def complete(self, request: Request) -> Response:
        self._death.step("asked")
        response = super().complete(request)
        self._death.step("answered")
        return response


def score(task: Task, answer: dspy.Prediction) -> Score:
    return verdict(passed=hashlib.sha256(f"{task.id}{answer.code}".encode()).digest()[0] < 100)


def watch_writes(death: Death) -> None:
    """Make every write a step, before it and after it."""
    append = lines._append

    def watched(path: Path, line: bytes, size: int | None) -> int:
        death.step(f"writing {path.name}", path, line)
        end = append(path, line, size)
        death.step(f"written {path.name}")
        return end

    lines._append = watched


def search(folder: Path, slots: int, death: Death) -> None:
    """Run the search or go on with it, and write down how it ended."""
    watch_writes(death)
    run = RunDirectory(folder)
    calls, rows = run.calls(), run.rows()
    engine = ReplayEngine(Engine(death, slots), "weights", calls)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    study = optuna.create_study(
        study_name="joint",
        storage=open_journal(folder / "study.journal"),
        direction="maximize",
        load_if_exists=True,
    )
    evaluator = Evaluator(lambda: lm, "killed", score, rows)
    joint = JointSearch(CONFIG, POOL, evaluator, study, set_hypers)
    no_models: Models = lambda _: lm  # noqa: E731
    unused: Any = None
    winner = joint.compile(make_program("direct", unused).with_models(no_models), valset=EXAMPLES)
    ended = {
        "trials": [trial.model_dump(mode="json") for trial in joint.trials],
        "again": [again.model_dump(mode="json") for again in joint.reevaluations],
        "winner": winner.dump_state(),
        "tokens": joint.tokens_spent,
        "calls": sorted((call.key, call.text) for call in calls),
        "rows": sorted(row.key for row in rows),
        "paid twice": _lines(folder / "calls.jsonl") - len(calls),
    }
    run.write("ended.json", json.dumps({"steps": death.steps, "ended": ended}))


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def start(folder: Path, slots: int, death: Death) -> bool:
    """Run the search in a process of its own; tell whether it was killed."""
    process = os.fork()
    if not process:
        try:
            search(folder, slots, death)
        except BaseException as error:  # noqa: BLE001 (a fork must not go on in its parent's code)
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status not in {0, -signal.SIGKILL}:
        sys.exit(f"the search failed in {folder}")
    return status != 0


def _alone(folder: Path, name: str) -> Path:
    """Return a run's folder without neighbours, from which it would take answers."""
    return folder / name / "run"


def main(folder: Path, kills: int) -> None:
    """Kill searches with one slot and with several, and compare how they end."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    whole, steps = {}, {}
    for slots in (1, 4):
        start(_alone(folder, f"whole-{slots}"), slots, Death(0, torn=False))
        found = json.loads((_alone(folder, f"whole-{slots}") / "ended.json").read_text())
        whole[slots], steps[slots] = found["ended"], found["steps"]
    chance = random.Random(0)  # noqa: S311 (not a secret)
    killed, ends = 0, Counter[str]()
    while killed < kills or len(ends) < 2:
        slots = 1 + 3 * (sum(ends.values()) % 2)
        here = _alone(folder, f"killed-{sum(ends.values())}")
        while start(
            here,
            slots,
            Death(_step(chance, steps[slots], kills - killed), torn=chance.random() < 0.4),
        ):
            killed += 1
        ended = json.loads((here / "ended.json").read_text())["ended"]
        other = [name for name in ended if ended[name] != whole[slots][name]]
        ends[f"{slots} slots: other {other}" if other else f"{slots} slots: the same"] += 1
    given_up = sum(not trial["complete"] for trial in whole[4]["trials"])
    found = {
        "killed": killed, "ends": ends, "given up": given_up, "in vain": _in_vain(whole[4])
    }  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")


def _in_vain(ended: dict[str, Any]) -> int:
    """Return how many tasks were executed that no trial looked at."""
    tried: dict[str, int] = {}
    for trial in ended["trials"]:
        point = str(trial["point"])
        tried[point] = max(tried.get(point, 0), trial["tried"])
    again = sum(int(trial["tried"]) for trial in ended["again"])
    return len(ended["rows"]) - sum(tried.values()) - again


def _step(chance: random.Random, steps: int, left: int) -> int:
    return chance.randint(1, steps // 5) if left > 0 else 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
