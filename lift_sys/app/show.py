"""An artifact in plain text: exactly what its model is told and shown."""

from __future__ import annotations

import json

from lift_sys.app.export import Artifact, Opening, PredictorState


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
        lines += _demos(state)
    lines += ["", "## Provenance", ""]
    lines += [f"- {k}: {json.dumps(v, ensure_ascii=False)}" for k, v in artifact.provenance.items()]
    lines += ["", f"model sha256: {artifact.model.sha256}"]
    lines += [f"sha256 of {model.id}: {model.sha256}" for model in artifact.models]
    lines += [f"sha256: {artifact.sha256}"]
    return "\n".join(lines) + "\n"


def _opening(opening: Opening) -> str:
    result = "no result" if opening.passed is None else f"{opening.passed}/{opening.total}"
    return f"- test set {opening.data} opened at {opening.opened_at}: {result}"


def _demos(state: PredictorState) -> list[str]:
    if not state.demos:
        return ["(no demos)"]
    lines = []
    for number, demo in enumerate(state.demos, start=1):
        lines += [f"### Demo {number}", ""]
        for field in state.fields:
            if field in demo:
                value = demo[field]
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                lines += [f"{field}:", *("    " + line for line in text.splitlines()), ""]
    return lines
