"""An artifact in plain text: exactly what its model is told and shown."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from lift_sys.app.export import Artifact, Opening, PredictorState

MOST_IN_FULL = 8
"""Of a predictor with more demos, a bank, each demo is one line."""
BRIEF_CHARS = 96
"""Longest such line, in characters."""


def render_artifact(artifact: Artifact) -> str:
    """Return prompts, demos, hypers, scores and provenance as Markdown."""
    lines = [f"# {artifact.program} for {artifact.model.id}", "", "## Hypers", ""]
    lines += [f"- {path}: {value}" for path, value in artifact.hypers.items()]
    lines += ["", "## Scores", ""]
    lines += [
        f"- {split} ({m.data}): {m.passed}/{m.total}, 95 % CI {m.low:.0%}–{m.high:.0%}, "
        f"{m.tokens:,} tokens out"
        for split, m in artifact.scores.items()
    ]
    lines += [_opening(opening) for opening in artifact.openings]
    for path, state in artifact.predictors.items():
        lines += ["", f"## {path}", "", state.instructions.strip(), ""]
        lines += _choice(artifact, path) + _demos(state)
    lines += ["", "## Provenance", ""]
    lines += [f"- {k}: {json.dumps(v, ensure_ascii=False)}" for k, v in artifact.provenance.items()]
    lines += ["", f"model sha256: {artifact.model.sha256}"]
    lines += [f"sha256 of {model.id}: {model.sha256}" for model in artifact.models]
    lines += [f"sha256: {artifact.sha256}"]
    return "\n".join(lines) + "\n"


def _opening(opening: Opening) -> str:
    result = "no result" if opening.passed is None else f"{opening.passed}/{opening.total}"
    return f"- test set {opening.data} opened at {opening.opened_at}: {result}"


def _choice(artifact: Artifact, path: str) -> list[str]:
    """Say which of a predictor's demos a request shows."""
    stage = path.removesuffix(".predict")
    names = ("choice", "count", "tokens")
    how, count, tokens = (artifact.hypers.get(f"{stage}.demo_{name}") for name in names)
    if how is None or not artifact.predictors[path].demos:
        return []
    which = {
        "fixed": f"the first {count}, in this order",
        "nearest": f"the {count} whose specs are most similar to its own, the most similar last",
    }[how]
    return [f"A request shows at most {which}, in about {tokens:,} tokens at most.", ""]


def _demos(state: PredictorState) -> list[str]:
    if not state.demos:
        return ["(no demos)"]
    if len(state.demos) > MOST_IN_FULL:
        return [f"{len(state.demos)} demos:", "", *map(_brief, state.demos)]
    lines = []
    for number, demo in enumerate(state.demos, start=1):
        lines += [f"### Demo {number}", ""]
        for field in state.fields:
            if field in demo:
                value = demo[field]
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                lines += [f"{field}:", *("    " + line for line in text.splitlines()), ""]
    return lines


def _brief(demo: dict[str, Any]) -> str:
    text = " ".join(f"{demo.get('name', '(no name)')}: {demo.get('spec', '')}".split())
    return "- " + textwrap.shorten(text, BRIEF_CHARS, placeholder=" …")
