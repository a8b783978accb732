"""The plan's expectations, as its matrices state them, and which rung measures each line.

Owns these figures as data: Part 3 (models), Part 4 (strategies), Part 5 (outcomes), Part 7 (cost
and latency) and Part 9 (overview). They are guesses that were written before anything was measured,
for the 18 Phase 3 tasks and models of 7B and 32B parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizers.assess import Rung

Measure = Literal["passed", "gain", "cost", "latency", "usd", "seconds", "ir seconds"]
"""What is set beside a line: the rate, its difference to the first rung, the multiples of what the
first rung spends and takes, or USD, seconds, and seconds of the IR per task."""


@dataclass(frozen=True)
class Line:
    """A line of a matrix.

    Attributes:
        label: What the plan calls it.
        expected: Its figures, one for each column.
        rung: What measures it; ``None``: no rung does.
    """

    label: str
    expected: tuple[str, ...]
    rung: Rung | None


@dataclass(frozen=True)
class Matrix:
    """A table of the plan.

    Attributes:
        title: Its place and name in the plan.
        subject: Head of the first column.
        columns: Heads of the plan's figures.
        measures: What is set beside them.
        lines: In the plan's order.
    """

    title: str
    subject: str
    columns: tuple[str, ...]
    measures: tuple[Measure, ...]
    lines: tuple[Line, ...]


MATRICES = (
    Matrix(
        "Part 3: models",
        "model",
        ("USD/h", "expected"),
        ("passed", "usd"),
        (
            Line("Qwen 7B, better prompts", ("1.10", "78–82 %"), Rung.FEW_SHOT),
            Line("Qwen 32B", ("3.00", "82–88 %"), Rung.LARGER),
            Line("DeepSeek 236B", ("4.00", "88–94 %"), None),
            Line("Claude 3.5 (IR only)", ("by token", "85–92 %"), Rung.CLAUDE),
        ),
    ),
    Matrix(
        "Part 4: strategies",
        "technique",
        ("cost", "latency", "improvement"),
        ("cost", "latency", "gain"),
        (
            Line("Best-of-N (N = 3)", ("3x", "1.2–1.5x", "+10–15 %"), Rung.BEST_OF_N),
            Line("Chain-of-Thought", ("1.5–2x", "1.3–1.5x", "+10–20 %"), None),
            Line("Self-Consistency (N = 5)", ("5x", "2–3x", "+15–25 %"), None),
            Line("Iterative Refinement", ("3–4x", "3–4x", "+15–25 %"), None),
            Line("Hybrid (CoT + Best-of-N)", ("4–5x", "1.5–2x", "+20–30 %"), Rung.HYBRID),
        ),
    ),
    Matrix(
        "Part 5: outcomes",
        "estimate",
        ("expected", "cost"),
        ("passed", "gain"),
        (
            Line("Conservative (prompts only)", ("78–82 %", "none"), Rung.FEW_SHOT),
            Line("Moderate (prompts, 32B)", ("82–88 %", "+$2/h"), Rung.LARGER),
            Line("Optimistic (prompts, Claude)", ("85–92 %", "+$0.02 a test"), Rung.CLAUDE),
            Line("Best case (everything)", ("88–94 %", "+$2/h"), None),
        ),
    ),
    Matrix(
        "Part 7: cost and latency of a test",
        "model",
        ("USD", "seconds of the IR"),
        ("usd", "ir seconds", "seconds"),
        (
            Line("Qwen 7B", ("0.005", "2–5"), Rung.FEW_SHOT),
            Line("Qwen 32B", ("0.015", "6–10"), Rung.LARGER),
            Line("Claude IR", ("0.035", "below 10"), Rung.CLAUDE),
        ),
    ),
    Matrix(
        "Part 9: strategy options",
        "strategy",
        ("target", "cost impact"),
        ("passed", "cost"),
        (
            Line("Few-shot prompts", ("78–82 %", "none"), Rung.FEW_SHOT),
            Line("+ Qwen 32B", ("82–88 %", "+$2/h"), Rung.LARGER),
            Line("+ Best-of-N (N = 3)", ("88–94 %", "+3x"), Rung.BEST_OF_N),
            Line("+ Hybrid CoT", ("88–94 %", "+4–5x"), Rung.HYBRID),
            Line("Fine-tuning (LoRA)", ("92–98 %", "training $6–12"), Rung.TUNED),
            Line("Claude 3.5", ("85–92 %", "by token"), Rung.CLAUDE),
        ),
    ),
)
