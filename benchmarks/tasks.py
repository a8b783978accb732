"""How fast task files are read and compared.

Usage: ``python benchmarks/tasks.py [--tasks 320] [--rounds 15]``. The tasks are those that ship,
repeated under other ids and with shuffled words up to the wanted number, so that a file has the mix
of cases, references and IRs that a real one has. Reading is measured with nothing remembered of
earlier rounds, as the first command of a process finds it.

On two cores of a shared, busy virtual machine (Python 3.11), 320 tasks with 2,895 cases, median of
15 rounds: load 78 ms (59 ms of processor time), write 103 ms, near-duplicates 1.0 s, split 1.0 s.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys import literals  # noqa: E402
from lift_sys.tasks import Task, load_tasks, write_tasks  # noqa: E402
from lift_sys.tasks.similarity import near_duplicates  # noqa: E402
from lift_sys.tasks.splitting import split_tasks  # noqa: E402

LIMITS = {"load": 0.1, "near-duplicates": 2.0}
"""What 320 tasks may take, in seconds."""


def make_tasks(count: int) -> list[Task]:
    """Return that many tasks, made from those that ship."""
    shipped = [t for file in sorted((ROOT / "datasets").glob("*.jsonl")) for t in load_tasks(file)]
    draw = random.Random(1)  # noqa: S311 (not a secret)
    made = []
    for number in range(count):
        task = shipped[number % len(shipped)]
        words = task.spec.split()
        if number >= len(shipped):
            draw.shuffle(words)
        name = f"{task.entry_point}_{number}"
        spec = " ".join(words)
        made.append(task.model_copy(update={"id": name, "entry_point": name, "spec": spec}))
    return made


def measure(what: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Return wall and processor seconds of each round."""
    wall, processor = [], []
    for _ in range(rounds):
        literals._known_type.cache_clear()  # a new process has none
        started, spent = time.perf_counter(), time.process_time()
        what()
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - spent)
    return wall, processor


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    tasks = make_tasks(options.tasks)
    cases = sum(len(task.visible) + len(task.hidden) for task in tasks)
    print(f"{len(tasks)} tasks, {cases} cases; seconds, median (least)")
    with tempfile.TemporaryDirectory() as folder:
        file = write_tasks(Path(folder) / "tasks.jsonl", tasks)
        third = len(tasks) // 3
        work: dict[str, Callable[[], object]] = {
            "load": lambda: load_tasks(file),
            "write": lambda: write_tasks(file, tasks),
            "near-duplicates": lambda: near_duplicates(tasks),
            "split": lambda: split_tasks(tasks, {"train": third, "dev": third, "test": third}, 1),
        }
        for name, what in work.items():
            wall, processor = measure(what, options.rounds)
            limit = f"limit {LIMITS[name]}" if name in LIMITS else ""
            print(
                f"{name:16} wall {statistics.median(wall):.3f} ({min(wall):.3f})  "
                f"processor {statistics.median(processor):.3f} ({min(processor):.3f})  {limit}"
            )


if __name__ == "__main__":
    main()
