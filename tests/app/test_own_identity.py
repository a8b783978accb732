"""What identifies a caller's program, metric and model: what they do, in every process."""

from __future__ import annotations

import enum
import functools
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from lift_sys.app.own_identity import identity_of
from lift_sys.inference.scripted import ScriptedEngine
from programs.hypers import Hyper

LEVEL = 1.0


def one(*_: Any) -> float:
    return 1.0


def zero(*_: Any) -> float:
    return 0.0


def closure(value: Any) -> Callable[..., Any]:
    return lambda *_: value


def with_default(value: float) -> Callable[..., float]:
    def metric(*_: Any, full: float = value) -> float:
        return full

    return metric


def level(*_: Any) -> float:
    return LEVEL


class Kind(enum.Enum):
    A = 1
    B = 2


class Valued:
    __slots__ = ("lock", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.lock = threading.Lock()

    def __call__(self, *_: Any) -> Any:
        return self.value

    def method(self, *_: Any) -> Any:
        return self.value

    def __reduce__(self) -> tuple[Any, ...]:
        return Valued, (self.value,)


class Own(dspy.Module):
    def __init__(self, good: Any = None) -> None:
        super().__init__()
        self.write = dspy.Predict("spec -> code")
        self.n = Hyper("n", 1, 2)
        self.good = good

    def forward(self, spec: str) -> Any:
        return self.write(spec=spec)


def made_class(code: str) -> dspy.Module:
    class Made(dspy.Module):
        def forward(self, spec: str) -> dspy.Prediction:
            return dspy.Prediction(code=code)

    return Made()


def model(answers: Any = one, name: str = "m", **kwargs: Any) -> dspy.LM:
    return dspy.LM(f"local/{name}", engine=ScriptedEngine(answers), cache=False, **kwargs)


PAIRS: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (closure, 1.0, 0.0),
    (closure, one, zero),
    (closure, [1, {"a": {2, 3}}], [1, {"a": {2, 4}}]),
    (closure, re.compile("a" * 300), re.compile("a" * 300 + "b")),
    (closure, Path("a"), Path("b")),
    (closure, Kind.A, Kind.B),
    (closure, b"a", b"b"),
    (closure, True, 1),
    (closure, sys, re),
    (with_default, 1.0, 0.0),
    (functools.partial, one, zero),
    (lambda value: functools.partial(one, value), 1, 2),
    (Valued, 1.0, 0.0),
    (lambda value: Valued(value).method, 1.0, 0.0),
    (functools.lru_cache, one, zero),
    (Own, True, False),
    (Own, model(one), model(zero)),
    (made_class, "a", "b"),
    (dspy.Predict, "spec -> code", "spec -> code: list[str]"),
    (lambda value: dspy.Predict("spec -> code", n=value), 1, 2),
    (lambda value: dspy.BestOfN(Own(), 2, value, 1.0), one, zero),
    (lambda value: dspy.BestOfN(Own(), value, one, 1.0), 2, 3),
    (model, one, zero),
    (lambda value: model(temperature=value), 0.0, 0.7),
    (lambda value: model(name=value), "a", "b"),
]


@pytest.mark.parametrize(("make", "value", "other"), PAIRS)
def test_what_does_something_else_is_another(
    make: Callable[[Any], Any], value: Any, other: Any
) -> None:
    assert identity_of(make(value)) == identity_of(make(value))
    assert identity_of(make(value)) != identity_of(make(other))


def test_two_lambdas_in_a_file_differ() -> None:
    assert identity_of(lambda *_: 1.0) != identity_of(lambda *_: 0.0)


def test_a_constant_that_a_function_names_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity_of(level), identity_of(Own())
    monkeypatch.setattr(f"{__name__}.LEVEL", 0.0)

    assert identity_of(level) != before[0]
    assert identity_of(Own()) == before[1]


def test_copies_and_calls_change_nothing() -> None:
    lm, program = model(lambda _: "[[ ## code ## ]]\nx"), Own()
    before = identity_of(lm), identity_of(program)
    copied = program.deepcopy()
    with dspy.context(lm=lm):
        program(spec="x")

    assert (identity_of(lm), identity_of(program)) == before
    assert identity_of(copied) == before[1]


def test_a_key_is_no_part_of_a_model() -> None:
    def served(key: str) -> dspy.LM:
        return dspy.LM("openai/m", api_base="http://127.0.0.1:9/v1", api_key=key)

    assert identity_of(served("a")) == identity_of(served("b"))


def test_code_without_a_source_is_never_the_same_twice() -> None:
    scope: dict[str, Any] = {"__name__": "typed"}
    exec("def metric(*_): return 1", scope)  # noqa: S102 (stands for a session)

    assert identity_of(scope["metric"]) != identity_of(scope["metric"])


def test_what_cannot_be_read_is_never_the_same_twice() -> None:
    metric = closure(iter(n for n in range(3)))

    assert identity_of(metric) != identity_of(metric)


PROGRAM = """
import sys
import dspy
import scoring
from base import Base
from lift_sys.app.own_identity import identity_of
class Mine(Base):
    kinds = {"b", "a", "c"}
    def __init__(self):
        super().__init__()
        self.kinds, self.again = {"b", "a", "c"}, self
if __name__ == "__main__":
    print(identity_of(Mine(), lambda *_: scoring.score()))
"""


def test_the_sources_of_bases_and_imports_count_in_every_process(tmp_path: Path) -> None:
    def identity(base: str = "", rule: str = "") -> str:
        (tmp_path / "mine.py").write_text(PROGRAM)
        (tmp_path / "base.py").write_text(
            f"import dspy\nclass Base(dspy.Module):\n    pass\n{base}"
        )
        (tmp_path / "rule.py").write_text(f"def rule(): return 1\n{rule}")
        (tmp_path / "scoring.py").write_text("from rule import rule\ndef score(): return rule()\n")
        asked = [sys.executable, "-B", str(tmp_path / "mine.py")]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout

    first = identity()
    assert identity() == first
    assert len({first, identity(base="# other"), identity(rule="# other")}) == 3
