"""Candidates for instructions: DSPy's proposers run, and what must not be kept is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request

from lift_sys.config import Proposer
from lift_sys.errors import ProviderError, SandboxError
from lift_sys.inference.failures import EngineError, PromptTooLongError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage, recording
from lift_sys.ir.models import FunctionSignature, Intent, SpecIR
from lift_sys.tasks import Task
from optimizers import instructions
from optimizers.instructions import MOST_CHARS, STAGE, Found, Told, propose
from optimizers.pools import DemoSet
from optimizers.proposers import PROPOSERS, Brief, Proposals
from tests.optimizers.half_known import (
    EXAMPLES,
    LABELS,
    MAGIC,
    TASKS,
    USED,
    Setup,
    answer,
    instructions_of,
    state,
)

NAMES: tuple[Proposer, ...] = tuple(PROPOSERS)
CODE = "code_generator.predict"
DEMOS = (
    DemoSet(name="none", tasks=(), demos={}),
    DemoSet(name="gold-1", tasks=("times2",), demos={CODE: (dict(LABELS["times2"][CODE]),)}),
)
BRIEF = Brief(predictors=USED, examples=EXAMPLES, demos=DEMOS, seed=3)


def found(setup: Setup, name: Proposer, count: int = 2, brief: Brief = BRIEF) -> Found:
    with dspy.context(lm=setup.lm):
        return propose(setup.student(), setup.metric, brief, {name: count}, TASKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_proposer_writes_candidates_and_leaves_the_program(name: Proposer, setup: Setup) -> None:
    student = setup.student()
    before = state(student)
    with dspy.context(lm=setup.lm), recording() as calls:
        candidates, _ = propose(student, setup.metric, BRIEF, {name: 2}, TASKS)
    assert state(student) == before
    assert set(candidates) <= set(USED)
    assert CODE in candidates
    for path, texts in candidates.items():
        assert [text.name for text in texts] == [f"{name}-{n + 1}" for n in range(len(texts))]
        assert len({text.text for text in texts}) == len(texts) <= 2
        assert all(MAGIC in text.text for text in texts)
        assert instructions_of(student)[path] not in [text.text for text in texts]
    assert any(call.stage == STAGE for call in calls)


@pytest.mark.parametrize("name", NAMES)
def test_another_model_writes_and_the_stages_keep_theirs(name: Proposer, setup: Setup) -> None:
    stages: list[str | None] = []

    def write(request: Request) -> str:
        stages.append(current_stage())
        return answer(request)

    writer = ScriptedEngine(write)
    lm = dspy.LM("local/writer", engine=writer, cache=False, num_retries=0)
    candidates, _ = found(setup, name, brief=replace(BRIEF, lm=lm))
    assert candidates[CODE]
    assert set(stages) == {STAGE}
    assert not any("proposed_instruction" in str(body) for body in setup.engine.bodies)
    assert bool(setup.engine.bodies) is (name != "grounded")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_proposes_the_same(name: Proposer, setup: Setup) -> None:
    first = found(setup, name)
    asked = list(setup.engine.bodies)
    setup.engine.bodies.clear()
    assert found(setup, name) == first
    assert setup.engine.bodies == asked
    found(setup, name, brief=Brief(predictors=USED, examples=EXAMPLES, demos=DEMOS, seed=4))
    assert setup.engine.bodies[len(asked) :] != asked


@pytest.mark.parametrize("name", ["grounded", "copro"])
def test_as_many_as_wanted_for_the_predictors_that_are_named(name: Proposer, setup: Setup) -> None:
    brief = Brief(predictors=(CODE,), examples=EXAMPLES, demos=DEMOS, seed=3)
    candidates, dropped = found(setup, name, 3, brief)
    assert {path: len(texts) for path, texts in candidates.items()} == {CODE: 3}
    assert dropped == {}


def test_the_grounded_proposer_is_shown_demos_but_at_first(setup: Setup) -> None:
    found(setup, "grounded", 2, Brief((CODE,), EXAMPLES, DEMOS, seed=0))
    asked = [str(body["messages"]) for body in setup.engine.bodies]
    proposing = [text for text in asked if "proposed_instruction" in text]
    assert ["return x * 2" in text for text in proposing] == [False, True]


def test_proposers_measure_little(setup: Setup) -> None:
    """COPRO measures each candidate on one task; GEPA stays near what its reflections need."""
    for name, most in (("grounded", 0), ("copro", (2 + 1) * 2), ("gepa", (1 + 3 * 4 + 1) * 3 + 6)):
        setup.engine.requests.clear()
        scored = 0

        def counting(*given: Any) -> Any:
            nonlocal scored
            scored += 1
            return setup.metric(*given)

        with dspy.context(lm=setup.lm):
            propose(setup.student(), counting, BRIEF, {name: 2}, TASKS)  # type: ignore[dict-item]
        assert scored <= most


@contextmanager
def proposing(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> Iterator[None]:
    made = {"copro": lambda *_: Proposals(texts={CODE: texts}, failed=1)}
    monkeypatch.setattr(instructions, "PROPOSERS", made)
    yield


def test_what_is_dropped_is_counted(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    own = instructions_of(setup.student())[CODE]
    good, better = "Mind every edge case.", "Return early."
    texts = [
        f' "{good}" ', "", ' "" ', "mind every EDGE case!", own.upper(), "x " * MOST_CHARS,
        "Answer like this: Multiply x by 3.", "Write times4 (x) first.", better, "One too many.",
    ]  # fmt: skip
    with proposing(monkeypatch, texts):
        candidates, dropped = found(setup, "copro", 2)
    assert [(c.name, c.text) for c in candidates[CODE]] == [("copro-1", good), ("copro-2", better)]
    assert dropped == {"failed": 1, "empty": 2, "duplicate": 2, "long": 1, "leak": 2}
    with proposing(monkeypatch, [""]):
        assert found(setup, "copro") == ({}, {"failed": 1, "empty": 1})


GOLD = SpecIR(
    intent=Intent(summary="Joins the words with a dash and drops the empty ones"),
    signature=FunctionSignature(name="join_words"),
)
TASK = Task.model_validate(
    {
        "id": "j",
        "spec": "Join all words of a list with one dash between them, and leave out empty words.",
        "entry_point": "join_words",
        "category": "c",
        "split": "train",
        "source": "test",
        "hidden": [{"args": "([],)", "expected": "''"}],
        "reference_code": "def join_words(words):\n    return '-'.join(w for w in words if w)",
        "gold_ir": GOLD.model_dump(mode="json"),
    }
)
SHOWN = DemoSet(
    name="d", tasks=(), demos={"p": ({"effects": ["take every second letter of the given text"]},)}
)
OWN = "Write one Python function. Reply with the code only, in one Python code block."


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("Be exact.", False),
        ("For example, join all words of a list with ONE dash, between them!", True),
        ("Join all words of a list.", False),
        ("Code: return '-'.join(w for w in words if w)", True),
        ("It joins the words with a dash and cuts empties.", False),
        ("It joins the words with a dash and drops the empty ones.", True),
        ("Take every second letter of the given text, if asked.", True),
        ("As in join_words, mind empty words.", True),
        (f"{OWN} Be exact.", False),
    ],
)
def test_what_tells_of_a_task_or_a_demo(text: str, tells: bool) -> None:
    assert Told.of([TASK], [SHOWN]).by(text, OWN) is tells


def test_a_name_of_one_word_tells_where_it_is_called() -> None:
    told = Told.of(TASKS, [])
    assert told.by("Call times3(2).", OWN)
    assert not told.by("Three times3 is fine.", OWN)


def test_what_the_program_says_already_tells_nothing() -> None:
    told = Told.of([TASK.model_copy(update={"spec": f"{OWN} {OWN}"})], [])
    assert not told.by(f"Please: {OWN}", OWN)
    assert told.by(f"Please: {OWN}", "Something else.")


def with_engine(setup: Setup, script: Any) -> Setup:
    engine = ScriptedEngine(script)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    return Setup(setup.sandbox, engine, lm, setup.metric)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_cannot_propose_gives_no_candidates(name: Proposer, setup: Setup) -> None:
    def rambling(request: Request) -> str:
        return answer(request) if current_stage() in {"ir", "code"} else "Well."

    candidates, dropped = found(with_engine(setup, rambling), name)
    if name == "gepa":  # whatever it says is taken for instructions
        assert dropped == {}
    else:
        assert (candidates, set(dropped)) == ({}, {"failed"})


def test_a_prompt_that_is_too_long_costs_its_proposals_only(setup: Setup) -> None:
    def full(request: Request) -> str:
        if current_stage() == STAGE:
            raise PromptTooLongError("9000 tokens")
        return answer(request)

    for name in NAMES:
        candidates, dropped = found(with_engine(setup, full), name)
        assert candidates == {}
        assert dropped == {"failed": 2 if name == "copro" else 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_backend_ends_the_proposing(name: Proposer, setup: Setup) -> None:
    def gone(request: Request) -> str:
        if current_stage() == STAGE:
            raise EngineError("it is gone")
        return answer(request)

    with pytest.raises(ProviderError, match="it is gone"):
        found(with_engine(setup, gone), name)


@pytest.mark.parametrize("name", ["copro", "gepa"])
def test_a_failing_sandbox_ends_the_proposing(name: Proposer, setup: Setup) -> None:
    def metric(*_: Any) -> Any:
        raise SandboxError("it is gone")

    with dspy.context(lm=setup.lm), pytest.raises(SandboxError, match="it is gone"):
        propose(setup.student(), metric, BRIEF, {name: 1}, TASKS)
