"""What the assertions of a model are worth, counted on train: writes ``programs/precision.json``.

Usage: ``python benchmarks/precision.py RUN [RUN ...] [--program single] [--data train]``, where RUN
is a directory that ``lift eval --preset single --data train`` left, one for each model. The file is
written anew, so name the runs of all models. ``--out -`` prints it instead.

Every executable assertion of a row's IR is run on the row's code, whose rightness the row tells:
from these counts comes the posterior of ``programs.belief``. The derived ones are also run on the
task's reference: the share that holds is their precision.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.stored import Entry, judge_entry, read_entries, task_file  # noqa: E402
from lift_sys.files import file_sha256, write_atomically  # noqa: E402
from lift_sys.ir.lint import Kind  # noqa: E402
from lift_sys.sandbox import Sandbox, create_sandbox  # noqa: E402
from lift_sys.sandbox.assertions import held_assertions  # noqa: E402
from metrics.stats import Rate  # noqa: E402
from programs.belief import Measured, Precision, Reliability  # noqa: E402
from programs.calibration import fit  # noqa: E402


def measure(entries: list[Entry], sandbox: Sandbox) -> Reliability:
    """Count and fit over rows.

    Raises:
        SandboxError: The sandbox failed.
    """
    judged = [found for entry in entries if (found := judge_entry(entry, sandbox))]
    true = _on_references(entries, sandbox)
    precision = {k: Precision(held=sum(oks), total=len(oks)) for k, oks in true.items() if oks}
    return fit(judged).model_copy(update={"precision": precision})


def _on_references(entries: list[Entry], sandbox: Sandbox) -> dict[Kind, list[bool]]:
    """Return for each kind which derived assertions hold on the reference."""
    true: dict[Kind, list[bool]] = {Kind.EXAMPLE: [], Kind.PROPERTY: []}
    for row, task in entries:
        if task.reference_code is None or row.ir is None:
            continue
        name, visible = task.entry_point, task.visible
        for held in held_assertions(task.reference_code, name, row.ir, visible, sandbox):
            if held.provenance == "derived":
                true[held.kind].append(held.ok)
    return true


def say(model: str, found: Reliability) -> str:
    """Return what was found for one model, as lines."""
    codes = found.codes
    lines = [f"{model}: {codes.right} right codes, {codes.wrong} wrong, temper {found.temper}"]
    for kind, votes in ((Kind.EXAMPLE, found.example), (Kind.PROPERTY, found.property)):
        true = found.precision.get(kind, Precision())
        lines += [
            f"  {kind} holds on the reference {Rate.of(true.held, true.total)}",
            f"  {kind} holds on right code    {Rate.of(votes.right_held, votes.right_total)}",
            f"  {kind} holds on wrong code    {Rate.of(votes.wrong_held, votes.wrong_total)}",
        ]
    return "\n".join(lines)


def main() -> None:
    """Count, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="run directories")
    parser.add_argument("--program", default="single", help="label of the rows")
    parser.add_argument("--data", default="train", help="a shipped set or a file")
    parser.add_argument("--out", default=str(ROOT / "programs" / "precision.json"))
    options = parser.parse_args()
    entries = read_entries(options.runs, options.data, options.program)
    if not entries:
        sys.exit(f"no rows of {options.program!r} on tasks of {options.data!r} in these runs")
    with closing(create_sandbox()) as sandbox:
        models = {
            model: measure([e for e in entries if e.model == model], sandbox)
            for model in sorted({e.model for e in entries})
        }
        pooled = measure(entries, sandbox)
    for model, found in (*models.items(), ("pooled", pooled)):
        print(say(model, found))
    written = Measured(
        data_sha256=file_sha256(task_file(options.data)),
        tasks=len({e.task.id for e in entries}),
        models=models,
        pooled=pooled,
    )
    text = written.model_dump_json(indent=2) + "\n"
    if options.out == "-":
        print(text, end="")
    else:
        write_atomically(Path(options.out), text)


if __name__ == "__main__":
    main()
