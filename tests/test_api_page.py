"""Every example of the page on the Python API runs, with a scripted model in place of the real."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

import lift_sys
from lift_sys.app import models
from lift_sys.inference.chat import chat_body
from lift_sys.inference.replay import Calls, ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
EXAMPLES = re.findall(r"## ([^\n]+)\n\n```python\n(.*?)```", PAGE.read_text(), flags=re.S)

KNOWN = {
    "Return the double of x": ("double", "6", "2 * x"),
    "Multiply x with itself": ("square", "9", "x * x"),
    "Give x the other sign": ("negate", "-3", "-x"),
    "Add one to the argument": ("increment", "4", "x + 1"),
}


def answer(request: Request) -> str:
    """Know every task, in the form that is asked for."""
    question = str(chat_body(request)["messages"][-1]["content"])
    name, expected, value = next(
        known for spec, known in KNOWN.items() if spec in question or known[0] in question
    )
    code = f"def {name}(x):\n    return {value}\n"
    if current_stage() == "ir":
        fields = {"summary": name, "parameters": ["x: int"], "returns": "int", "effects": [name]}
        return json.dumps({**fields, "assertions": [f"{name}(3) == {expected}"]})
    if current_stage() == "code":
        return f"```python\n{code}```"
    fields = {"reasoning": "easy", "pitfalls": "none", "code": code}
    wanted = [f for f in fields if f"[[ ## {f} ## ]]" in question]
    return "".join(f"[[ ## {field} ## ]]\n{fields[field]}\n\n" for field in wanted)


def scripted(model: str, _: Path, *, calls: Calls | None = None, **_keys: Any) -> dspy.LM:
    engine: Any = ScriptedEngine(answer)
    if calls is not None:
        engine = ReplayEngine(engine, model, calls)
    return dspy.LM(f"local/{model}", engine=engine, cache=False, num_retries=0, temperature=0.0)


def tasks() -> list[lift_sys.Task]:
    return [
        lift_sys.Task(
            id=name, spec=spec, entry_point=name, category="mathematical", split="train",
            source="test", hidden=(lift_sys.Case(args="(3,)", expected=expected),),
        )
        for spec, (name, expected, _) in KNOWN.items()
    ]  # fmt: skip


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) == PAGE.read_text().count("```python") >= 7


@pytest.mark.parametrize(("title", "example"), EXAMPLES)
def test_an_example_runs(
    title: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(models, "build_lm", scripted)
    lines = (task.model_dump_json() + "\n" for task in tasks())
    (tmp_path / "mine.jsonl").write_text("".join(lines))
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, title, "exec"), names)  # noqa: S102 (our own page)

    if "study" in names:
        (winner,) = [r for r in names["study"].report.results if r.name == "compiled winner"]
        assert winner.rate.passed == winner.rate.total == 2
