"""Does code on which all assertions hold turn out right? And is the posterior calibrated?

Usage: ``python benchmarks/agreement.py RUN [RUN ...] [--data dev] [--program LABEL]``, where RUN is
a directory that ``lift eval`` left. Each program with each model is reported apart.

The assertions of a row's IR and the visible cases are run on the row's code, the answer that was
chosen; candidates that were not are not stored (``headroom.py`` looks at those). "All hold" is then
taken as a forecast of "right": its precision is the share of right codes where it says so, its
recall the share of right codes of which it says so. Stated and derived assertions are told apart;
rows without any of a sort do not count for it.

The posterior is that of ``programs/precision.json``, which must come from other tasks (train).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.stored import Entry, judge_entry, read_entries, task_file  # noqa: E402
from lift_sys.files import file_sha256  # noqa: E402
from lift_sys.sandbox import create_sandbox  # noqa: E402
from lift_sys.sandbox.assertions import Held  # noqa: E402
from metrics.stats import Calibration, Rate  # noqa: E402
from programs.belief import Reliability, measured  # noqa: E402
from programs.calibration import Judged  # noqa: E402

SORTS: dict[str, Callable[[Held], bool]] = {
    "stated": lambda held: held.provenance == "stated",
    "derived": lambda held: held.provenance == "derived",
    "all": lambda _: True,
}


def forecast(codes: Sequence[Judged], sort: str) -> tuple[Rate, Rate]:
    """Return precision and recall of "all of this sort hold" for "right"."""
    checked = [(c.right, [h.ok for h in c.held if SORTS[sort](h)]) for c in codes]
    kept = [(right, all(oks)) for right, oks in checked if oks]
    both = sum(right and said for right, said in kept)
    precision = Rate.of(both, sum(said for _, said in kept))
    return precision, Rate.of(both, sum(right for right, _ in kept))


def calibration(codes: Sequence[Judged], known: Reliability) -> Calibration:
    """Return how the posterior fits."""
    return Calibration.of([known.posterior(c.held) for c in codes], [c.right for c in codes])


def report(name: str, codes: Sequence[Judged], known: Reliability) -> str:
    """Return everything about one program with one model, as Markdown."""
    right = sum(code.right for code in codes)
    lines = [f"### {name}: {len(codes)} codes, right {Rate.of(right, len(codes))}", ""]
    lines += ["| all hold | precision | recall |", "|---|---|---|"]
    for sort in SORTS:
        precision, recall = forecast(codes, sort)
        lines += [f"| {sort} | {precision} | {recall} |"]
    found = calibration(codes, known)
    prior = calibration(codes, known.model_copy(update={"temper": 0.0}))
    lines += ["", "| posterior | mean | came true |", "|---|---:|---|"]
    lines += [
        f"| {b.low:.1f}–{b.high:.1f} | {b.forecast:.2f} | {b.rate} |"
        for b in found.bins
        if b.rate.total
    ]
    lines += ["", f"Brier score {found.brier:.3f}; of stated assertions alone {prior.brier:.3f}; "]
    lines[-1] += f"of the base rate {found.brier_base:.3f}."
    return "\n".join(lines) + "\n"


def _grouped(entries: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.row.label, entry.model), []).append(entry)
    return groups


def main() -> None:
    """Execute and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="run directories")
    parser.add_argument("--data", default="dev", help="a shipped set or a file")
    parser.add_argument("--program", help="label of the rows; default: all")
    options = parser.parse_args()
    if file_sha256(task_file(options.data)) == measured().data_sha256:
        print("Note: the posterior was fitted on these very tasks.\n")
    entries = read_entries(options.runs, options.data, options.program)
    with closing(create_sandbox()) as sandbox:
        for (label, model), group in _grouped(entries).items():
            codes = [found for entry in group if (found := judge_entry(entry, sandbox))]
            known = measured().models.get(model, measured().pooled)
            if codes:
                print(report(f"{label}, {model}", codes, known))


if __name__ == "__main__":
    main()
