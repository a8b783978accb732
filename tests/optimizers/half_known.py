"""A program with tasks of which a scripted model knows half, until it is shown or told more."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import dspy
from dspy.lm15 import Request
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.inference.chat import chat_body
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.record import canonical_json, digest
from lift_sys.sandbox import Sandbox
from lift_sys.tasks import Task
from metrics.adapters import ExecutionMetric, to_example
from metrics.execution import score_code
from optimizers.evaluate import Evaluator
from optimizers.recipes import Settings
from optimizers.rows import Row
from optimizers.teleprompters import build
from programs.hypers import set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import show_nearest

MAGIC = "Multiply exactly"
TASKS = tuple(
    Task.model_validate(
        {
            "id": f"times{n}",
            "spec": f"Multiply x by {n}.",
            "entry_point": f"times{n}",
            "category": "mathematical",
            "split": "train",
            "source": "test",
            "hidden": [
                {"args": "(1,)", "expected": str(n)},
                {"args": "(5,)", "expected": f"{5 * n}"},
            ],
        }
    )
    for n in range(2, 6)
)
EASY = {"times2", "times3"}
EXAMPLES = [to_example(task) for task in TASKS]
HYPERS = {"assertions": 3, "code_generator.max_tokens": 1024, "code_sees": "spec", "n": 2}
USED = ("ir_generator.predict", "code_generator.predict")
LABELS = {
    task.id: {
        "code_generator.predict": {
            "name": task.entry_point,
            "spec": task.spec,
            "code": f"def {task.entry_point}(x):\n    return x * {task.id[-1]}",
        }
    }
    for task in TASKS
}
SETTINGS = Settings(
    seed=3, trials=8, demos=2, predictors=USED, labels=LABELS, show_nearest=show_nearest
)
DEMOS = {
    "labeled_few_shot",
    "bootstrap_few_shot",
    "random_search",
    "bootstrap_optuna",
    "knn_few_shot",
}
INSTRUCTIONS = {"copro", "gepa"}
EITHER = {"mipro_v2", "simba", "infer_rules", "better_together"}
SINGLE = sorted(DEMOS | INSTRUCTIONS | EITHER)


def told(request: Request) -> tuple[str, str]:
    """Return what a request says before its question, and the question."""
    messages = chat_body(request)["messages"]
    return "\n".join(str(m["content"]) for m in messages[:-1]), str(messages[-1]["content"])


def answer(request: Request) -> str:
    """Answer any prompt."""
    before, question = told(request)
    stage = current_stage()
    name = f"times{found[1]}" if (found := re.search(r"times(\d)", question)) else "f"
    if stage == "ir":
        return ir(name)
    if stage == "code":
        body = chat_body(request)
        lucky = body["temperature"] > 0 and body["seed"] % 2
        knows = name in EASY or lucky or MAGIC in before or "def times" in before
        right = f"x * {name[-1]}" if knows else "x"
        return f"```python\ndef {name}(x):\n    return {right}\n```"
    return proposal(request, before + question)


def ir(name: str) -> str:
    fields = {
        "summary": f"Multiplies by {name[-1]}",
        "parameters": ["x: int"],
        "returns": "int",
        "effects": ["multiply"],
        "assertions": [f"{name}(1) == {name[-1]}"],
    }
    return json.dumps(fields)


def proposal(request: Request, text: str) -> str:
    """Fill the fields that a proposer asks for, in the form in which it does."""
    number = int(digest([chat_body(request)["seed"], text])[:8], 16)
    rule = f"{MAGIC}, as in {number}."

    def value(name: str) -> Any:
        return {"code_generator.predict": rule} if name == "module_advice" else rule

    schema = chat_body(request).get("response_format")
    if schema is not None:
        return json.dumps({name: value(name) for name in properties(schema)})
    names = dict.fromkeys(re.findall(r"\[\[ ## (\w+) ## \]\]", text.split("objective is", 1)[0]))
    blocks = [
        f"[[ ## {n} ## ]]\n{json.dumps(v) if isinstance(v := value(n), dict) else v}" for n in names
    ]
    return "\n\n".join(blocks)


def properties(schema: Any) -> list[str]:
    found: list[str] = []
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            found += schema["properties"]
        for inner in schema.values():
            found += properties(inner)
    return found


@dataclass
class Setup:
    """A program, a metric and a model."""

    sandbox: Sandbox
    engine: ScriptedEngine
    lm: dspy.LM
    metric: ExecutionMetric

    def student(self) -> SpecToCode:
        program = make_program("single", self.sandbox)
        set_hypers(program, HYPERS)
        return program

    def compile(self, name: str | Teleprompter, student: Any = None, **changes: Any) -> Any:
        if name == "simba":
            changes = {"trials": 20, **changes}
        optimizer = build(name, self.metric, replace(SETTINGS, **changes))
        with dspy.context(lm=self.lm):
            return optimizer.compile(student or self.student(), trainset=EXAMPLES)

    def passed(self, program: dspy.Module) -> int:
        def score(task: Task, answer: dspy.Prediction) -> Any:
            return score_code(task, answer.code, answer.failure, self.sandbox)

        rows: Rows = Rows()
        evaluator = Evaluator(lambda: self.lm, "script", score, rows)
        return sum(row.score.passed for row in evaluator.run(program, TASKS, "test"))


class Rows(dict[str, Row]):
    def put(self, row: Row) -> None:
        self[row.key] = row


def demos_of(program: dspy.Module) -> dict[str, list[Any]]:
    return {path: p.demos for path, p in program.named_predictors() if p.demos}


def instructions_of(program: dspy.Module) -> dict[str, str]:
    return {path: p.signature.instructions for path, p in program.named_predictors()}


def state(program: dspy.Module) -> str:
    return canonical_json(program.dump_state())
