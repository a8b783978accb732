"""What a job shows while it runs: what is being done, tokens spent, time left.

Owns the display. On a terminal it is one live line; elsewhere (a log, CI) it is a line whenever a
phase or a trial ends, and one about every half minute in between.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from lift_sys.inference.usage import CallRecord
from optimizers.rows import Row
from optimizers.trials import Trial

LINE_EVERY = 30.0
"""Seconds between progress lines where there is no terminal."""


class Progress:
    """The display of one job.

    Args:
        console: Where to write.
        planned: Tasks expected in each phase, in order; a phase that turns out shorter is
            corrected by ``end``.

    Attributes:
        engine_seconds: Time spent in the model since the display was made, in seconds.
    """

    def __init__(self, console: Console, planned: dict[str, int]) -> None:
        self._console = console
        self.engine_seconds = 0.0
        self._planned = dict(planned)
        self._phase = ""
        self._label = ""
        self._done = 0
        self._tried = 0
        self._tokens = 0
        self._speeds: dict[str, tuple[int, float]] = {}
        self._last_line = self._last_row = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)
        self._last_line = time.monotonic()

    def begin(self, phase: str, planned: int | None = None) -> None:
        """Enter a phase."""
        self._phase, self._done, self._tried = phase, 0, 0
        self._last_row = time.monotonic()
        if planned is not None:
            self._planned[phase] = planned
        self._show()

    def end(self) -> None:
        """Leave the phase: nothing is left of it."""
        self._planned[self._phase] = 0
        self._done = 0

    def row(self, row: Row, reused: bool) -> None:
        """Count an executed or reused task."""
        now = time.monotonic()
        self._done += 1
        same = row.label == self._phase
        self._label = self._phase if same else f"{self._phase}, {row.label}"
        self._tokens += row.usage.completion_tokens
        if not reused:
            self.engine_seconds += sum(c.machine_seconds for c in row.calls if not c.reused)
            count, seconds = self._speeds.get(self._phase, (0, 0.0))
            self._speeds[self._phase] = (count + 1, seconds + now - self._last_row)
        self._last_row = now
        self._show()

    def answer(self) -> None:
        """Count an answer that an optimizer of DSPy's had scored."""
        self._done += 1
        self._label = self._phase
        self._show()

    def generated(self, calls: Iterable[CallRecord]) -> None:
        """Count calls of the model that belong to no row."""
        for call in calls:
            self._tokens += call.completion_tokens
            self.engine_seconds += call.machine_seconds

    def trial(self, trial: Trial) -> None:
        """Tell how a trial ended; of one that was stored no rows were shown."""
        self._tried += trial.tried
        self._done = max(self._done, self._tried)
        point = ", ".join(f"{k}={v}" for k, v in trial.point.items())
        end = "" if trial.complete else f" ({trial.dropped}: given up after {trial.tried} tasks)"
        self.say(
            f"  trial {trial.number}: {trial.passed} passed{end}, {trial.tokens:,} tokens; {point}"
        )

    def _show(self) -> None:
        planned = self._planned.get(self._phase, 0)
        text = (
            f"{self._label} {self._done}/{max(planned, self._done)} tasks, "
            f"{self._tokens:,} tokens, about {self._left() / 60:.0f} min left"
        )
        if self._status:
            self._status.update(text)
        elif time.monotonic() - self._last_line > LINE_EVERY:
            self.say(f"  {text}")

    def _left(self) -> float:
        """Return the seconds that the planned tasks are expected to take.

        A phase not yet entered is expected to run at the mean speed so far.
        """
        count = sum(n for n, _ in self._speeds.values())
        mean = sum(s for _, s in self._speeds.values()) / count if count else 8.0
        total = 0.0
        for phase, planned in self._planned.items():
            n, seconds = self._speeds.get(phase, (0, 0.0))
            done = self._done if phase == self._phase else 0
            total += max(planned - done, 0) * (seconds / n if n else mean)
        return total
