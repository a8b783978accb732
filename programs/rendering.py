"""The requests that a program makes, for reading: with placeholders where a task's own text stands.

Owns which stages a program may ask, and under which condition. The messages are not written here:
the stages are asked, with placeholders for inputs, and what they would send is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import dspy
from dspy.lm15 import Request

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.ir.models import FunctionSignature, Intent, SpecIR
from lift_sys.ir.render import render
from lift_sys.tasks import TaskView
from programs.adapters import Messages
from programs.attempts import Attempt
from programs.critique import Issue
from programs.demo_choice import MOST, NO_LIMIT
from programs.drawing import Candidate
from programs.refinement import Plan
from programs.spec_to_code import SpecToCode
from programs.stages import Sampling, Stage, StageFailed
from programs.writing import Writing

NAME, SPEC, ANALYSIS, CODE, IR = "<<name>>", "<<spec>>", "<<analysis>>", "<<code>>", "<<ir>>"
PLACEHOLDERS = {
    NAME: "name of the function",
    SPEC: "the request in plain language, then examples where there are some",
    ANALYSIS: "the answer of the reasoner",
    IR: "the intermediate representation so far, as Markdown",
    CODE: "the function so far",
    "<<problem>>: <<fix>>": "what is wrong and what to do about it, a line for each",
}
"""What stands for what, in the messages of this module."""

_IR = SpecIR(intent=Intent(summary="-"), signature=FunctionSignature(name=NAME, returns="None"))
_RENDERED = render(_IR)
_ISSUES = (Issue(category="order", description="<<problem>>", fix="<<fix>>"),)
_SAMPLING = Sampling(temperature=0.0, seed=0)


@dataclass(frozen=True)
class StageRequest:
    """What a stage sends.

    Attributes:
        stage: Its name in the program.
        when: In which case, where there are several or it is not always asked.
        messages: Role and content of each, with placeholders.
        bank: Demos from which those nearest to a spec are shown before the last message, each as
            the messages that it adds; empty where ``messages`` has the demos.
        settings: Of the request: the schema of the answer, the limit of its tokens, the sampling.
    """

    stage: str
    when: str
    messages: Messages
    bank: tuple[Messages, ...]
    settings: Mapping[str, Any]


class _Ask(NamedTuple):
    """A way to make a stage send its request."""

    stage: str
    when: str
    make: Callable[[Writing], object]


def requests_of(program: SpecToCode) -> list[StageRequest]:
    """Return every request that a program may make, in the order of its stages.

    Requests that do not differ are one. What depends on the text of a spec is not in them: quirks
    that it triggers, hints that are extracted from it, and the nearest demos.
    """
    requests = [_request(program, ask) for ask in _asks(program)]
    known: list[Messages] = []
    different = []
    for request in requests:
        if request.messages not in known:
            known.append(request.messages)
            different.append(request)
    return different


def _asks(program: SpecToCode) -> list[_Ask]:
    first = int(program.ir_from.value)
    has_ir = program.ir_detail.value != "none" and first < int(program.n.value)
    plan = Plan(
        critique=str(program.critique.value),
        repair=str(program.repair.value),
        rounds=int(program.refine_iterations.value),
    )
    asks = []
    if has_ir:
        since = f"from candidate {first + 1} on" if first else ""
        asks += [_Ask("reasoner", since, _draft)] if program.reason.value else []
        asks += [_Ask("ir_generator", since, _draft)]
        asks += [_Ask("critic", "once there is an IR", _criticise)] if plan.before_code else []
        if plan.before_code or (plan.after_code and plan.repair != "code"):
            asks += [_Ask("refiner", "when the IR is to blame", _refine)]
    if not has_ir or first:
        asks += [_Ask("code_generator", "without an IR" if has_ir else "", _write(None))]
    if has_ir:
        asks += [_Ask("code_generator", "with an IR" if first else "", _write(_IR))]
    if plan.after_code and plan.repair != "ir":
        asks += [_Ask("repairer", "when the code is to blame", _repair)]
    return asks


def _draft(writing: Writing) -> object:
    return writing.draft(int(writing.program.ir_from.value))


def _write(ir: SpecIR | None) -> Callable[[Writing], object]:
    def make(writing: Writing) -> object:
        index = int(writing.program.ir_from.value) if ir else 0
        return writing.add_code(Candidate(Attempt(index=index, ir=ir), []))

    return make


def _criticise(writing: Writing) -> object:
    return writing.program.critic(spec=SPEC, ir=_IR, sampling=_SAMPLING)


def _refine(writing: Writing) -> object:
    return writing.program.refiner(
        spec=SPEC, ir=_IR, issues=_ISSUES, sampling=_SAMPLING, form=writing.form
    )


def _repair(writing: Writing) -> object:
    return writing.program.repairer(
        name=NAME, spec=SPEC, code=CODE, problems=_ISSUES, sampling=_SAMPLING
    )


def _request(program: SpecToCode, ask: _Ask) -> StageRequest:
    recorder = _Recorder(program)
    stage: Stage = getattr(recorder.program, ask.stage)
    demos = list(stage.predict.demos)
    chosen = stage.demo_choice.value == "nearest" and stage.demo_count.value
    bank = []
    if chosen:
        for setting, value in ((stage.demo_count, MOST), (stage.demo_tokens, NO_LIMIT)):
            setting.set(value)
        stage.demo_choice.set("fixed")
        for demo in demos:
            stage.predict.demos = [demo]
            bank.append(recorder.sent(ask)["messages"][1:-1])
        stage.predict.demos = []
    body = recorder.sent(ask)
    kept = ("response_format", "max_tokens")
    settings: dict[str, Any] = {key: body[key] for key in kept if key in body}
    settings["temperature"] = stage.temperature_in(float(program.temperature.value))
    settings |= {"top_p": stage.top_p.value} if stage.top_p.value != "model" else {}
    shown = tuple(messages for messages in bank if messages)
    return StageRequest(ask.stage, ask.when, body["messages"], shown, settings)


class _Recorder:
    """Asks the stages of a copy of a program, and keeps what they send."""

    def __init__(self, program: SpecToCode) -> None:
        self.engine = ScriptedEngine(self._answer)
        self.stages: list[str | None] = []
        lm = dspy.LM("local/placeholder", engine=self.engine, cache=False, num_retries=0)
        self.program = program.with_models(lambda _: lm)
        self.program.set_lm(lm)

    def sent(self, ask: _Ask) -> dict[str, Any]:
        """Return the last request that the stage made."""
        view = TaskView(spec=SPEC, entry_point=NAME)
        with dspy.context(trace=[]), suppress(StageFailed):
            ask.make(Writing(self.program, view, rollout=0))
        name = getattr(self.program, ask.stage).name
        made = zip(self.stages, self.engine.bodies, strict=True)
        body = [body for stage, body in made if stage == name][-1]
        messages = [{**m, "content": m["content"].replace(_RENDERED, IR)} for m in body["messages"]]
        return {**body, "messages": messages}

    def _answer(self, _: Request) -> str:
        # Only the reasoner's answer is used; the others cannot be read, which ends the attempt.
        self.stages.append(current_stage())
        return ANALYSIS
