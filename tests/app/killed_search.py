"""A search that is killed again and again, and then ends.

It has a ledger and, in one of its kinds, a budget that ends it.
Run by ``test_killed_search`` as a process of its own.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy
import optuna
from dspy.lm15 import Request, Response

from lift_sys.app import lines
from lift_sys.app.journal import open_journal
from lift_sys.app.lines import KeyedLines
from lift_sys.app.store import RunDirectory
from lift_sys.config import Budget
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.ledger import LedgerEntry
from lift_sys.inference.model_info import FREE
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


@dataclass(frozen=True)
class Kind:
    """How a search is run.

    Attributes:
        name: What it is called.
        slots: Requests that its model answers at once.
        budget: That it is paid from.
    """

    name: str
    slots: int
    budget: Budget


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


def search(folder: Path, kind: Kind, death: Death) -> None:
    """Run the search or go on with it, and write down how it ended."""
    watch_writes(death)
    run = RunDirectory(folder)
    calls, rows, ledger = run.calls(), run.rows(), run.ledger()
    engine = ReplayEngine(Engine(death, kind.slots), "weights", calls)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    account = Account(lambda: kind.budget, ledger)
    account.enter("search")
    pay_from(account, lm, "script", FREE)
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
        "ledger": _paid(folder / "ledger.jsonl"),
        "spent": ledger.by_phase()["search"].tokens,
        "cut": joint.cut is not None,
        "paid twice": _lines(folder / "calls.jsonl") - len(calls),
    }
    run.write("ended.json", json.dumps({"steps": death.steps, "ended": ended}))


def _paid(path: Path) -> list[Any]:
    """Return the last entry of each call in a ledger, without its times."""
    entries = {entry.key: entry for entry in KeyedLines(path, LedgerEntry)}
    timeless = {"seconds", "running"}
    return [entries[key].model_dump(mode="json", exclude=timeless) for key in sorted(entries)]


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def start(folder: Path, kind: Kind, death: Death) -> bool:
    """Run the search in a process of its own; tell whether it was killed."""
    process = os.fork()
    if not process:
        try:
            search(folder, kind, death)
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
    """Kill searches of every kind, and compare how they end."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds = [Kind("1 slot", 1, Budget()), Kind("4 slots", 4, Budget())]
    whole = {kind.name: _whole(folder, kind) for kind in kinds}
    most = whole["1 slot"]["ended"]["spent"] * 6 // 10
    kinds.append(Kind("a budget", 1, Budget(tokens=most)))
    whole[kinds[-1].name] = _whole(folder, kinds[-1])
    chance = random.Random(0)  # noqa: S311 (not a secret)
    killed, ends = 0, Counter[str]()
    while killed < kills or len(ends) < len(kinds):
        kind = kinds[sum(ends.values()) % len(kinds)]
        here, steps = _alone(folder, f"killed-{sum(ends.values())}"), whole[kind.name]["steps"]
        while start(
            here, kind, Death(_step(chance, steps, kills - killed), torn=chance.random() < 0.4)
        ):
            killed += 1
        ended, expected = _ended(here)["ended"], whole[kind.name]["ended"]
        other = [name for name in ended if ended[name] != expected[name]]
        ends[f"{kind.name}: other {other}" if other else f"{kind.name}: the same"] += 1
    together = whole["4 slots"]["ended"]
    found = {
        "killed": killed,
        "ends": ends,
        "given up": sum(not trial["complete"] for trial in together["trials"]),
        "in vain": _in_vain(together),
        "cut": {name: ended["ended"]["cut"] for name, ended in whole.items()},
    }
    sys.stdout.write(json.dumps(found) + "\n")


def _whole(folder: Path, kind: Kind) -> Any:
    """Return the end of a search that is never killed."""
    here = _alone(folder, f"whole {kind.name}")
    start(here, kind, Death(0, torn=False))
    return _ended(here)


def _ended(folder: Path) -> Any:
    return json.loads((folder / "ended.json").read_text())


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
