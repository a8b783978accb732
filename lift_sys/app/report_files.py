"""The files of a report: ``report.json`` for programs, ``report.md`` for people."""

from __future__ import annotations

from lift_sys.app.report import Report
from lift_sys.app.store import RunDirectory
from lift_sys.app.tables import markdown


def write_report(run: RunDirectory, report: Report, *, detailed: bool = False) -> str:
    """Write both files into a run, and return the Markdown.

    Args:
        run: Keeps them; those of an earlier report are replaced.
        report: Its figures.
        detailed: Whether the Markdown tells candidates and stages too.

    Raises:
        StoreError: The disk refused; the old files, if any, are still there.
    """
    text = markdown(report, detailed=detailed)
    run.write("report.json", report.model_dump_json(indent=2) + "\n")
    run.write("report.md", text)
    return text
