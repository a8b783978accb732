"""What a spec leaves open, as typed holes: found without a model and without hidden cases.

Owns which questions are worth a person's time and what an answer states. A question has three
sources: what the spec says contradicts itself or a visible case; the spec is silent about a
boundary value that the function needs (``lift_sys.knowledge.silence``); candidates that satisfy all
that is stated give different results for the same call. A hole's name is made from the question
itself, never from its position, so that it can be answered in a later run.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lift_sys.errors import ConfigError
from lift_sys.ir.lint import lint_ir
from lift_sys.ir.models import FunctionSignature, SpecIR, TypedHole
from lift_sys.ir.types import python_type
from lift_sys.knowledge.constraints import Extraction, extract
from lift_sys.knowledge.silence import silences, untyped
from lift_sys.literals import is_literal, literal_key, parse_literal
from lift_sys.sandbox.base import CallOutcome
from lift_sys.sandbox.codec import shorten
from lift_sys.tasks import Case
from lift_sys.verdict import Status
from programs.attempts import Attempt, Draw, usable
from programs.cleaning import signature_of
from programs.consensus import STANDING, is_refuted, outcome_text, run_on
from programs.probes import probe_inputs, values_for
from programs.stated import contradictions, stated_cases

MAX_SPLITS = 3
"""Most questions that come from candidates that differ."""
MAX_SHOWN_CHARS = 40
"""Longest result in a question, in characters."""
_MAX_SLUG_CHARS = 24


def open_questions(
    attempts: Sequence[Attempt], chosen: Attempt, draw: Draw
) -> tuple[TypedHole, ...]:
    """Return what the spec leaves open, contradictions first, each call once.

    Args:
        attempts: Every candidate drawn.
        chosen: The one whose signature the questions are asked of.
        draw: The task; nothing that its visible cases or its text answer is asked.

    Raises:
        SandboxError: The sandbox failed.
    """
    view, name = draw.view, str(draw.view.entry_point)
    signature = chosen.ir.signature if chosen.ir else signature_of(chosen.code, name)
    extraction = extract(view.spec, name, signature)
    asked: dict[str, TypedHole] = {}
    for hole in _contradictions(name, signature, draw, extraction):
        asked.setdefault(literal_key(hole.args or "()"), hole)
    stated = stated_cases(view.visible, extraction)
    answered = {literal_key(c.args) for c in stated}
    splits = {literal_key(s.args): s for s in _splits(attempts, draw, answered | asked.keys())}
    if signature is not None:
        for hole in _silences(signature, draw, chosen.ir, stated):
            key = literal_key(hole.args or "()")
            asked.setdefault(key, _with_said(hole, splits.get(key)))
    for key, split in splits.items():
        asked.setdefault(key, _with_said(_behaviour(name, signature, split.args), split))
    types = _types(view.spec, chosen.ir.signature) if chosen.ir else []
    return (*asked.values(), *types)


def with_holes(ir: SpecIR | None, holes: Iterable[TypedHole]) -> SpecIR | None:
    """Return an IR that carries holes."""
    return ir and ir.model_copy(update={"holes": (*ir.holes, *holes)})


def answer(hole: TypedHole, text: str) -> Case | str:
    """Return what an answer to a hole states: a case, or a sentence for the spec.

    Args:
        hole: The question.
        text: For a call: a Python literal, or the name of the exception that it raises. Else the
            name of a type.

    Raises:
        ConfigError: The text is none of that.
    """
    text = text.strip()
    if hole.args is None:
        if python_type(text) != text or text == "Any":
            msg = f"{text!r} cannot fill {hole.identifier}: give a type such as int or list[str]"
            raise ConfigError(msg)
        return _type_sentence(hole.identifier, text)
    raises = text.removeprefix("raises ").strip()
    kind = getattr(builtins, raises, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        return Case(args=hole.args, raises=raises)
    if not is_literal(text):
        msg = (
            f"{text!r} cannot fill {hole.identifier}: give a Python literal, text in quotes, or "
            "the name of an exception such as ValueError"
        )
        raise ConfigError(msg)
    number = parse_literal(text)
    tolerance = 1e-9 * max(1.0, abs(number)) if isinstance(number, float) else None
    return Case(args=hole.args, expected=text, tolerance=tolerance)


def shown(outcome: CallOutcome) -> str:
    """Return how a call ended, in a few words."""
    if outcome.status is Status.PASSED:
        return shorten(outcome.value, MAX_SHOWN_CHARS)
    if outcome.exception:
        return f"raises {outcome.exception}"
    return "no result in time" if outcome.status is Status.TIMEOUT else "no result"


class _Split(NamedTuple):
    """A call for which candidates give different results, the most frequent first."""

    args: str
    said: tuple[str, ...]


def _splits(attempts: Sequence[Attempt], draw: Draw, known: Iterable[str]) -> list[_Split]:
    """Return the calls that split the standing candidates most evenly, each in its own way."""
    drawn = [a for a in usable(attempts) if a.code]
    kept = [a for a in drawn if not is_refuted(a)]
    if len({a.code for a in kept}) < 2:
        return []
    # The same inputs as for agreement, so that nothing is executed twice.
    probes = probe_inputs(draw.view, drawn[0].ir, drawn[0].code or "")
    ran = [run_on(a, probes, draw) for a in kept]
    standing = [outcomes for status, outcomes in ran if status == STANDING]
    settled = set(known)
    ways: dict[tuple[int, ...], _Split] = {}
    for i, args in enumerate(probes):
        texts = [outcome_text(outcomes[i], observe=False) for outcomes in standing]
        groups = list(dict.fromkeys(texts))
        if len(groups) < 2 or literal_key(args) in settled:
            continue
        groups.sort(key=lambda g: -texts.count(g))
        said = tuple(shown(standing[texts.index(g)][i]) for g in groups)
        ways.setdefault(tuple(map(groups.index, texts)), _Split(args, said))
    even = sorted(ways, key=lambda way: sum(way.count(g) ** 2 for g in set(way)))
    return [ways[way] for way in even[:MAX_SPLITS]]


def _with_said(hole: TypedHole, split: _Split | None) -> TypedHole:
    if split is None:
        return hole
    said = " and ".join(split.said[:3])
    return hole.model_copy(update={"description": f"{hole.description}; candidates said {said}"})


def _behaviour(name: str, signature: FunctionSignature | None, args: str) -> TypedHole:
    return TypedHole(
        identifier=f"result_of_{_slug(args)}",
        type_hint=_returns(signature),
        description=f"what does {_call(name, args)} give?",
        kind="behaviour",
        args=args,
    )


def _contradictions(
    name: str, signature: FunctionSignature | None, draw: Draw, extraction: Extraction
) -> list[TypedHole]:
    return [
        TypedHole(
            identifier=f"contradiction_of_{_slug(found.args)}",
            type_hint=_returns(signature),
            description=f"the spec says both {found.first!r} and {found.second!r}",
            kind="contradiction",
            args=found.args,
        )
        for found in contradictions(name, draw.view.visible, extraction)
    ]


def _silences(
    signature: FunctionSignature, draw: Draw, ir: SpecIR | None, stated: Sequence[Case]
) -> list[TypedHole]:
    """Return the questions about boundary values that no stated case has at their place."""
    left_open = silences(draw.view.spec, signature)
    known = [parse_literal(case.args) for case in stated] if left_open else []
    holes = []
    for silence in left_open:
        row, value = _typical(signature, draw, ir), parse_literal(silence.value)
        if row is None or any(value == k[silence.place] for k in known if len(k) > silence.place):
            continue
        row[silence.place] = silence.value
        args = f"({', '.join(row)},)"
        call = _call(signature.name, args)
        said = f"the spec says nothing of {silence.what} {silence.parameter}: what does {call} give"
        holes.append(
            TypedHole(
                identifier=f"{silence.what}_{silence.parameter}",
                type_hint=_returns(signature),
                description=said + "?",
                kind="edge_case",
                args=args,
            )
        )
    return holes


def _typical(signature: FunctionSignature, draw: Draw, ir: SpecIR | None) -> list[str] | None:
    """Return an ordinary argument for each parameter: of a known call, else of the type."""
    count = len(signature.parameters)
    asserted = [f.args for _, f in lint_ir(ir) if f.args is not None] if ir else []
    for args in (*(case.args for case in draw.view.visible), *asserted):
        row = ast.parse(args.strip(), mode="eval").body
        if isinstance(row, ast.Tuple) and len(row.elts) == count:
            return [ast.unparse(e) for e in row.elts]
    pools = [values_for(p.type_hint) for p in signature.parameters]
    return [pool[min(3, len(pool) - 1)] for pool in pools] if all(pools) else None


def _types(spec: str, signature: FunctionSignature) -> list[TypedHole]:
    open_names = [
        name
        for name in untyped(spec, signature)
        if _type_sentence(f"type_of_{name}", "") not in spec
    ]
    return [
        TypedHole(
            identifier=f"type_of_{name}",
            type_hint="type",
            description=f"what is the type of {name}?",
            kind="type",
        )
        for name in open_names
    ]


def _type_sentence(identifier: str, text: str) -> str:
    return f"The type of {identifier.removeprefix('type_of_')} is {text}"


def _returns(signature: FunctionSignature | None) -> str:
    return (signature.returns if signature else None) or "Any"


def _call(name: str, args: str) -> str:
    return Case(args=args, expected="None").render(name).removesuffix(" == None")


_WORDS = {"''": "empty", "[]": "empty", "()": "empty", "{}": "empty", "set()": "empty"}


def _slug(args: str) -> str:
    """Return a word for arguments; where it does not tell all of them, with a digest."""
    written = ast.parse(args.strip(), mode="eval").body
    texts = [ast.unparse(e) for e in written.elts] if isinstance(written, ast.Tuple) else []
    plain = all(t in _WORDS or re.fullmatch(r"-?\d+|None|True|False", t) for t in texts)
    words = [_WORDS.get(t, t.replace("-", "minus_")) for t in texts]
    slug = re.sub(r"\W+", "_", "_".join(words).lower(), flags=re.ASCII).strip("_")
    if plain and len(slug) <= _MAX_SLUG_CHARS:
        return slug or "nothing"
    short = slug[:_MAX_SLUG_CHARS].strip("_")
    digest = hashlib.sha256(literal_key(args).encode("utf-8", "replace")).hexdigest()[:4]
    return f"{short}_{digest}" if short else digest
