"""Answering one spec: run a program, list what is open, take answers and run it again.

Owns the steps of ``lift run`` and what it prints. An answer to an open question becomes part of the
request: a visible case, or a sentence of the spec. Candidates already drawn are chosen among again
before new ones are drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

import dspy

from lift_sys.app.chain_use import ChainUse, chain_uses
from lift_sys.app.cost import Spent
from lift_sys.app.cost_tables import spent_sentence
from lift_sys.app.jobs import Chosen
from lift_sys.app.models import model_source
from lift_sys.errors import ConfigError
from lift_sys.inference.usage import Usage, recording
from lift_sys.ir.models import SpecIR, TypedHole
from lift_sys.ir.render import render, render_hole
from lift_sys.sandbox.base import Call, Submission
from lift_sys.tasks import Case, TaskView
from programs import holes
from programs.attempts import Draw
from programs.conclusion import choose_again
from programs.select import RULES

Ask = Callable[[TypedHole], str | None]
"""Gets an answer to a hole, or None to leave it open."""


@dataclass(frozen=True)
class Request:
    """What is asked of a program.

    Attributes:
        spec: In plain language.
        name: Of the function, if it was said.
        fills: Answers to open questions, by name.
        visible: Cases that answers have become.
    """

    spec: str
    name: str | None = None
    fills: Mapping[str, str] = field(default_factory=dict)
    visible: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a program made of one spec.

    Attributes:
        entry_point: Name of the function.
        ir: The IR, if one was made.
        code: The function, if one was written.
        failure: Why there is none.
        holes: What the spec leaves open.
        gives: What the code gives for the call of a hole, by the hole's name.
        agreement: How many executable assertions held, in words.
        usage: Tokens and engine seconds.
        spent: In USD; ``None`` where every model is free.
        chains: What became of the calls of chains of models.
    """

    entry_point: str
    ir: SpecIR | None
    code: str | None
    failure: str | None
    holes: tuple[TypedHole, ...]
    gives: Mapping[str, str]
    agreement: str
    usage: Usage
    spent: Spent | None = None
    chains: tuple[ChainUse, ...] = ()

    def as_text(self) -> str:
        """Return it for a person."""
        parts = [
            "## IR\n",
            render(self.ir) if self.ir else "none (the code was written from the spec alone)",
        ]
        parts += ["\n## Code\n"]
        parts += [f"```python\n{self.code}\n```" if self.code else f"no code: {self.failure}"]
        if self.holes:
            parts += ["\n## Open questions\n", *map(self._question, self.holes)]
            parts += [f"\nAnswer one with `--fill {self.holes[0].identifier}=VALUE`."]
        parts += [
            f"\n{self.agreement} {self.usage.completion_tokens} tokens out, "
            f"{self.usage.seconds:.1f} s in the model.{spent_sentence(self.spent)}"
        ]
        parts += [use.in_words() for use in self.chains]
        return "\n".join(parts) + "\n"

    def as_json(self) -> str:
        """Return it for a machine, as one line."""
        document = {
            "entry_point": self.entry_point,
            "ir": self.ir.model_dump(mode="json") if self.ir else None,
            "code": self.code,
            "failure": self.failure,
            "open_questions": [
                {**hole.model_dump(mode="json"), "code_gives": self.gives.get(hole.identifier)}
                for hole in self.holes
            ],
            "agreement": self.agreement,
            "usage": self.usage.model_dump(mode="json"),
            "spent": self.spent.model_dump(mode="json") if self.spent else None,
            "chains": [use.model_dump(mode="json") for use in self.chains],
        }
        return json.dumps(document, ensure_ascii=False) + "\n"

    def _question(self, hole: TypedHole) -> str:
        given = self.gives.get(hole.identifier)
        return render_hole(hole) + (f"; this code: {given}" if given else "")


def answer(chosen: Chosen, request: Request, ask: Ask | None = None) -> Answer:
    """Run a program on one spec.

    Args:
        chosen: The program.
        request: With answers to questions that the program has asked before.
        ask: Asked each question that is then open; the program runs once more with what it says.

    Raises:
        ConfigError: The spec, the name or an answer cannot be used, or nothing of that name is
            open.
        ModelError: The model cannot be had.
        InfrastructureError: The backend or the sandbox failed.
    """
    models = model_source()
    chosen = replace(chosen, program=chosen.program.with_models(models))
    with recording() as calls, dspy.context(lm=models(chosen.model)):
        prediction = chosen.program(spec=request.spec, entry_point=request.name)
        request = replace(request, name=prediction.entry_point)
        left = dict(request.fills)
        while left:
            # An answer may raise the next question, which a later fill then answers.
            given = _matching(left, prediction.holes)
            request, prediction = _again(chosen, request, prediction, given)
            left = {name: text for name, text in left.items() if name not in given}
        if ask is not None:
            said = {h.identifier: text for h in prediction.holes if (text := ask(h)) is not None}
            if said:
                request, prediction = _again(chosen, request, prediction, said)
    return Answer(
        entry_point=prediction.entry_point,
        ir=prediction.ir,
        code=prediction.code,
        failure=prediction.failure,
        holes=prediction.holes,
        gives=_gives(chosen, prediction),
        agreement=_agreement(prediction),
        usage=Usage.of(calls),
        spent=Spent.of(calls),
        chains=chain_uses(calls),
    )


def read_fills(options: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` options.

    Raises:
        ConfigError: One has no name or no value, or a name comes twice.
    """
    fills: dict[str, str] = {}
    for option in options:
        name, _, text = (part.strip() for part in option.partition("="))
        if not name.isidentifier() or not text:
            msg = f"--fill {option!r} is not NAME=VALUE, such as empty_items=0"
            raise ConfigError(msg)
        if name in fills:
            msg = f"--fill answers {name} twice; leave one out"
            raise ConfigError(msg)
        fills[name] = text
    return fills


def require_terminal(stdin: TextIO) -> None:
    """Refuse to ask where nobody can answer.

    Raises:
        ConfigError: Standard input is not a terminal.
    """
    if not stdin.isatty():
        msg = "--ask needs a terminal; answer with --fill NAME=VALUE instead"
        raise ConfigError(msg)


def ask_on(stdin: TextIO, stderr: TextIO) -> Ask:
    """Return what asks a person, again until the answer can be used; an empty line skips."""

    def ask(hole: TypedHole) -> str | None:
        while True:
            stderr.write(f"{render_hole(hole)}\n  answer, or Enter to skip: ")
            stderr.flush()
            text = stdin.readline().strip()
            if not text:
                return None
            try:
                holes.answer(hole, text)
            except ConfigError as error:
                stderr.write(f"  {error}\n")
                continue
            return text

    return ask


def _matching(fills: Mapping[str, str], known: Sequence[TypedHole]) -> dict[str, str]:
    names = [h.identifier for h in known]
    given = {name: text for name, text in fills.items() if name in names}
    if not given:
        there = f"open are: {', '.join(names)}" if names else "nothing is open"
        msg = f"no open question is called {', '.join(fills)}; {there}"
        raise ConfigError(msg)
    return given


def _again(
    chosen: Chosen, request: Request, prediction: dspy.Prediction, fills: Mapping[str, str]
) -> tuple[Request, dspy.Prediction]:
    """Return the request with answers in it, and what the program makes of it."""
    facts = [
        holes.answer(h, fills[h.identifier]) for h in prediction.holes if h.identifier in fills
    ]
    cases = tuple(f for f in facts if isinstance(f, Case))
    sentences = [f for f in facts if isinstance(f, str)]
    spec = "\n".join([request.spec, *sentences])
    request = replace(request, spec=spec, visible=(*request.visible, *cases))
    view = TaskView(spec=spec, entry_point=request.name, visible=request.visible)
    program, made = chosen.program, None
    if not sentences:
        draw = Draw(view, len(prediction.attempts), program.borrowed.sandbox)
        rule = RULES[str(program.select.value)]
        made = choose_again(prediction.attempts, cases, rule, draw)
    if made is None:
        made = program(spec=spec, entry_point=request.name, visible=request.visible)
    return request, made


def _gives(chosen: Chosen, prediction: dspy.Prediction) -> dict[str, str]:
    """Return what the code gives for the call of each hole that has one."""
    asked = [h for h in prediction.holes if h.args is not None]
    if not asked or prediction.code is None:
        return {}
    submission = Submission(
        code=prediction.code,
        entry_point=prediction.entry_point,
        calls=tuple(Call(args=str(h.args)) for h in asked),
    )
    outcomes = chosen.program.borrowed.sandbox.execute(submission).outcomes
    return {h.identifier: holes.shown(o) for h, o in zip(asked, outcomes, strict=True)}


def _agreement(prediction: dspy.Prediction) -> str:
    chosen = next((a for a in prediction.attempts if a.code == prediction.code), None)
    if chosen is None or chosen.agreement is None or prediction.ir is None:
        return ""
    checked = chosen.agreement.stated_total + chosen.agreement.derived_total
    held = chosen.agreement.stated_held + chosen.agreement.derived_held
    return f"{held} of {checked} executable assertions hold on the code."
