"""Two artifacts side by side: what was decided otherwise, and what came of it.

Owns which parts of an artifact belong together and how a difference is told. Every part is looked
at: artifacts without a difference are equal but for the order of hypers and predictors.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lift_sys.app.export import Artifact, PredictorState
from lift_sys.record import Record, canonical_json

ABSENT = "(absent)"
BRIEF_CHARS = 60
"""Longest value in the text, in characters."""
DEMOS_NAMED = 8
"""Most demos of one predictor that the text names."""


class Change(Record):
    """A value that differs.

    Attributes:
        path: What it is of, e.g. ``seed`` or ``dev.passed``.
        a: In the first artifact; ``None`` also where it has no such value.
        b: In the second one, likewise.
        only: ``a`` or ``b`` where the other one has no such value.
    """

    path: str
    a: Any
    b: Any
    only: str = ""


class DemoChange(Record):
    """The demos of a predictor, where they differ.

    Attributes:
        path: Of the predictor.
        a: How many the first artifact has.
        b: How many the second has.
        only_a: Those that only the first has.
        only_b: Those that only the second has.
    """

    path: str
    a: int
    b: int
    only_a: tuple[dict[str, Any], ...]
    only_b: tuple[dict[str, Any], ...]


class ArtifactDiff(Record):
    """What differs between two artifacts, by group; an empty group does not differ."""

    models: tuple[Change, ...]
    hypers: tuple[Change, ...]
    instructions: tuple[Change, ...]
    demos: tuple[DemoChange, ...]
    scores: tuple[Change, ...]
    provenance: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(getattr(self, group) for group in type(self).model_fields)


def diff_artifacts(a: Artifact, b: Artifact) -> ArtifactDiff:
    """Return what differs between two artifacts."""
    first, second = a.model_dump(mode="json"), b.model_dump(mode="json")
    other = set(first) - {"model", "models", "hypers", "predictors", "scores", "openings", "sha256"}

    def changes(*keys: str) -> tuple[Change, ...]:
        of_a, of_b = ({key: side[key] for key in keys} for side in (first, second))
        return tuple(_changes(of_a, of_b))

    return ArtifactDiff(
        models=changes("model", "models"),
        hypers=tuple(_changes(first["hypers"], second["hypers"])),
        instructions=tuple(_instructions(a, b)),
        demos=tuple(_demos(a, b)),
        scores=(*_changes(first["scores"], second["scores"]), *changes("openings")),
        provenance=(
            *_changes(first["provenance"], second["provenance"]),
            *changes(*sorted(other - {"provenance"})),
        ),
    )


def render_diff(difference: ArtifactDiff) -> str:
    """Return a difference as text: a group for each kind, and nothing of what is the same."""
    lines: list[str] = []
    for group in ArtifactDiff.model_fields:
        found = getattr(difference, group)
        if found:
            lines += ["", group]
            for change in found:
                lines += [f"  {line}" for line in _TOLD.get(group, _told)(change)]
    return "\n".join(lines[1:] or ["no differences"]) + "\n"


def _changes(a: Mapping[str, Any], b: Mapping[str, Any], above: str = "") -> Iterator[Change]:
    """Yield the leaves in which two nested mappings differ."""
    for key in dict.fromkeys((*a, *b)):
        path = f"{above}.{key}" if above else str(key)
        if key not in a or key not in b:
            yield Change(path=path, a=a.get(key), b=b.get(key), only="a" if key in a else "b")
        elif isinstance(a[key], dict) and isinstance(b[key], dict):
            yield from _changes(a[key], b[key], path)
        elif canonical_json(a[key]) != canonical_json(b[key]):
            yield Change(path=path, a=a[key], b=b[key])


def _instructions(a: Artifact, b: Artifact) -> Iterator[Change]:
    for key in ("instructions", "fields"):
        of_a, of_b = (
            {path: getattr(state, key) for path, state in side.predictors.items()}
            for side in (a, b)
        )
        yield from _changes(of_a, of_b)


def _demos(a: Artifact, b: Artifact) -> Iterator[DemoChange]:
    none = PredictorState(instructions="", fields=())
    for path in dict.fromkeys((*a.predictors, *b.predictors)):
        first, second = (side.predictors.get(path, none).demos for side in (a, b))
        if canonical_json(first) != canonical_json(second):
            yield DemoChange(
                path=path,
                a=len(first),
                b=len(second),
                only_a=_without(first, second),
                only_b=_without(second, first),
            )


def _without(
    demos: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], ...]:
    known = {canonical_json(demo) for demo in others}
    return tuple(demo for demo in demos if canonical_json(demo) not in known)


def _told(change: Change) -> list[str]:
    sides = {side: _brief(getattr(change, side)) for side in ("a", "b")}
    if change.only:
        sides["b" if change.only == "a" else "a"] = ABSENT
    return [f"{change.path}: {sides['a']} → {sides['b']}"]


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= BRIEF_CHARS else text[: BRIEF_CHARS - 2] + " …"


def _told_instructions(change: Change) -> list[str]:
    if change.only or not (isinstance(change.a, str) and isinstance(change.b, str)):
        return _told(change)
    lines = difflib.unified_diff(change.a.splitlines(), change.b.splitlines(), n=1, lineterm="")
    kept = [f"  {line}" for line in lines if not line.startswith(("---", "+++", "@@"))]
    return [f"{change.path}:", *(kept or ["  (only white space at the ends of lines)"])]


def _told_demos(change: DemoChange) -> list[str]:
    lines = [f"{change.path}: {change.a} → {change.b}"]
    if not change.only_a and not change.only_b:
        return [f"{lines[0]}, the same in another order or number"]
    for mark, demos in (("-", change.only_a), ("+", change.only_b)):
        lines += [f"  {mark} {_demo(demo)}" for demo in demos[:DEMOS_NAMED]]
        if len(demos) > DEMOS_NAMED:
            lines += [f"  {mark} and {len(demos) - DEMOS_NAMED} more"]
    return lines


def _demo(demo: Mapping[str, Any]) -> str:
    return _brief(f"{demo.get('name', '(no name)')}: {demo.get('spec', '')}")


_TOLD: dict[str, Any] = {"instructions": _told_instructions, "demos": _told_demos}
