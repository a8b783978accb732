"""A caller's own program with tasks of which a scripted model knows half without care."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Request

import lift_sys
from lift_sys.inference.chat import chat_body
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.tasks import Task

NUMBERS = ("two", "three", "four", "five", "six", "seven")


def times(number: int) -> Task:
    word = NUMBERS[number - 2]
    return Task.model_validate(
        {
            "id": word, "spec": f"Multiply by {number}. {' '.join([word] * 8)}",
            "entry_point": f"times{number}", "category": "mathematical", "split": "train",
            "source": "test", "hidden": [{"args": "(5,)", "expected": str(5 * number)}],
        }
    )  # fmt: skip


NOWHERE = "http://127.0.0.1:9/v1"

TASKS = [times(number) for number in range(2, 8)]


class Own(dspy.Module):
    """Asks a predictor of its own; the model knows even numbers, or with care all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict("spec, care: bool -> code")
        self.care = lift_sys.Hyper("care", False, True)

    def forward(self, spec: str) -> dspy.Prediction:
        return self.write(spec=spec, care=self.care.value)


def answer(request: Request) -> str:
    return told("\n".join(str(m["content"]) for m in chat_body(request)["messages"]))


def told(text: str) -> str:
    number = int(re.findall(r"Multiply by (\d)", text)[-1])
    careful = re.findall(r"(True|False)", text)[-1] == "True"
    right = f"5 * {number}" if careful or number % 2 == 0 else "0"
    return f"[[ ## code ## ]]\ndef times{number}(x):\n    return x * {right} // 5\n"


def scripted(script: Any = answer) -> tuple[dspy.LM, ScriptedEngine]:
    engine = ScriptedEngine(script)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0, temperature=0.0)
    return lm, engine


def is_short(example: dspy.Example, pred: dspy.Prediction, trace: Any = None) -> float:
    return 1.0 if "5 *" in pred.code else 0.5


def study(folder: Path, program: Any = None, **options: Any) -> lift_sys.Study:
    options.setdefault("model", scripted()[0])
    options.setdefault("trials", 3)
    tasks = options.pop("tasks", TASKS)
    return lift_sys.optimize(program or Own(), tasks, runs=folder, **options)
