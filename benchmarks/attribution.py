"""Whose fault are the failures that a run stored? The table of ``lift blame``, without the model.

Usage: ``python benchmarks/attribution.py RUN [RUN ...] [--program single] [--data train]``, where
RUN is a directory that ``lift eval`` or ``lift blame`` left. What code from the gold IR does is
known where ``lift blame`` ran it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.stored import read_entries  # noqa: E402
from lift_sys.app.blame import GOLD, attribute_rows, markdown  # noqa: E402
from lift_sys.sandbox import create_sandbox  # noqa: E402


def main() -> None:
    """Attribute and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="run directories")
    parser.add_argument("--program", default="single", help="label of the rows")
    parser.add_argument("--data", default="train", help="a shipped set or a file")
    options = parser.parse_args()
    entries = read_entries(options.runs, options.data, options.program)
    gold = read_entries(options.runs, options.data, GOLD.format(name=options.program))
    for model in sorted({e.model for e in entries}):
        rows = [e.row for e in entries if e.model == model]
        from_gold = [e.row for e in gold if e.model == model]
        names = (f"{options.program}, {model}", options.data)
        with closing(create_sandbox()) as sandbox:
            tasks = [e.task for e in entries]
            print(markdown(attribute_rows(names, rows, tasks, sandbox, from_gold)))


if __name__ == "__main__":
    main()
