"""The files of a report: ``report.json`` for programs, ``report.md`` for people."""

from __future__ import annotations

from lift_sys.app.store import RunDirectory
from lift_sys.record import Versioned


def write_report(run: RunDirectory, report: Versioned, text: str) -> None:
    """Write both files into a run.

    Args:
        run: Keeps them; those of an earlier report are replaced.
        report: Its figures.
        text: The same as Markdown.

    Raises:
        StoreError: The disk refused; the old files, if any, are still there.
    """
    run.write("report.json", report.model_dump_json(indent=2) + "\n")
    run.write("report.md", text)
