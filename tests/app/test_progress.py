"""What a job shows while it runs."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from lift_sys.app.progress import Progress
from lift_sys.inference.usage import CallRecord
from tests.app.test_report import row


def test_the_time_left_goes_by_the_clock_though_tasks_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    said = io.StringIO()
    with Progress(Console(file=said, width=200), {"eval": 20}) as progress:
        progress.begin("eval")
        # Ten tasks of two minutes each, which all end after two minutes.
        now[0] += 120
        for index in range(10):
            asked = CallRecord(
                model="m", prompt_tokens=1, completion_tokens=1, seconds=120.0, share=12.0
            )
            made = row(index, passed=True, calls=(asked,), seconds=120.0)
            progress.row(made.model_copy(update={"label": "eval"}), reused=False)
        assert progress._left() == pytest.approx(120.0)
        assert progress.engine_seconds == pytest.approx(120.0)
