"""A compiled program as a text that a person can use by hand, with any model and without lift-sys.

Owns the words of the prompt bundle: what is sent in which order, what stands for what, and what
cannot be had from messages alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from lift_sys.app.export import Artifact
from programs.adapters import Messages
from programs.ensemble import Program, members_of
from programs.hypers import hypers_of
from programs.rendering import PLACEHOLDERS, StageRequest, requests_of

Hypers = Mapping[str, Any]
"""Values by path."""


def render_bundle(artifact: Artifact, program: Program) -> str:
    """Return every request of a program as Markdown; of an ensemble, those of each member.

    Args:
        artifact: Of the program.
        program: Built from it.
    """
    members = members_of(program)
    requests = [requests_of(member) for member in members]
    lines = [f"# The prompts of {artifact.program} for {artifact.model.id}", ""]
    lines += ["These are the messages that the program sends, stage by stage, exactly as they are."]
    lines += ["A word in double angle brackets stands for what changes from task to task:", ""]
    lines += [f"- `{mark}`: {meaning}" for mark, meaning in _used(chain(*requests)).items()]
    if len(members) > 1:
        rule = artifact.hypers["select"]
        lines += ["", f"{len(members)} members answer, each on its own; the rule {rule!r} chooses."]
    for place, (member, own) in enumerate(zip(members, requests, strict=True), start=1):
        lines += ["", f"# Member {place}"] if len(members) > 1 else []
        hypers = {path: hyper.value for path, hyper in hypers_of(member).items()}
        lines += _conditions(hypers)
        for number, request in enumerate(own, start=1):
            lines += _request(number, request, artifact.model.id, hypers)
    lines += ["", f"Made from the artifact with the SHA-256 {artifact.sha256}."]
    return "\n".join(lines) + "\n"


def _used(requests: Iterable[StageRequest]) -> dict[str, str]:
    texts = [m["content"] for request in requests for m in request.messages]
    return {k: v for k, v in PLACEHOLDERS.items() if any(k in text for text in texts)}


def _conditions(hypers: Hypers) -> list[str]:
    """Say what the messages do not show."""
    lines = []
    if hypers.get("n", 1) != 1:
        lines += [
            f"At most {hypers['n']} candidates are made; the rule {hypers['select']!r} chooses one."
        ]
    if hypers.get("greedy_first"):
        lines += ["The first candidate is drawn at temperature 0."]
    if hypers.get("quirks") == "triggered":
        lines += ["Quirks of Python that a spec triggers stand before it; no message here has any."]
    if hypers.get("extract_assertions") == "on":
        lines += ["The stage `ir_generator` also reads hints that are extracted from the spec."]
    lines += ["Code is run, checked and chosen outside the messages: by lift-sys, or by you."]
    return ["", *lines]


def _request(number: int, request: StageRequest, model_id: str, hypers: Hypers) -> list[str]:
    model = hypers.get(f"{request.stage}.model", "program")
    model = model_id if model == "program" else model
    when = f", {request.when}" if request.when else ""
    lines = ["", f"## {number}. {request.stage}{when}", ""]
    settings = [f"{k} {v}" for k, v in request.settings.items() if k != "response_format"]
    lines += [f"Model {model}, {', '.join(settings)}."]
    last = len(request.messages) - 1
    for index, message in enumerate(request.messages):
        if index == last and request.bank:
            lines += ["", _choice(request, hypers)]
        lines += _message(message)
    lines += _answer(request.settings.get("response_format"))
    for index, demo in enumerate(request.bank, start=1):
        lines += ["", f"### Demo {index} of {request.stage}", *_messages(demo)]
    return lines


def _choice(request: StageRequest, hypers: Hypers) -> str:
    count, tokens = (hypers[f"{request.stage}.demo_{k}"] for k in ("count", "tokens"))
    return (
        f"(Here stand the {count} of the {len(request.bank)} demos below whose specs are most "
        f"similar to the spec, the most similar last, in about {tokens:,} tokens at most.)"
    )


def _messages(messages: Messages) -> list[str]:
    return [line for message in messages for line in _message(message)]


def _message(message: dict[str, Any]) -> list[str]:
    return ["", f"{message['role']}:", "", *_fenced(str(message["content"]))]


def _answer(form: dict[str, Any] | None) -> list[str]:
    if form is None:
        return []
    schema = json.dumps(form.get("json_schema", form), ensure_ascii=False, indent=2)
    return ["", "The answer has this form:", "", *_fenced(schema)]


def _fenced(text: str) -> Sequence[str]:
    """Return a text as a block whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return (f"{fence}text", text, fence)
