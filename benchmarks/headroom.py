"""How much of what the drawn candidates offer does each selection rule take?

Usage: ``python benchmarks/headroom.py RUN PRESET [PRESET ...] [--data dev] [--model ID]``, where
RUN is a directory that ``lift eval --preset PRESET`` left. No model is loaded: the presets run
again on the answers that are stored there, which draws the same candidates. A task whose answers
are not stored, because the preset did not run on it or its prompts changed since, is left out and
counted. Presets that choose before code is written (``quality``) have nothing to choose from here.

Every rule then chooses among the same candidates. ``first`` is what no choice gives, the oracle
takes a right candidate wherever there is one, and a rule's share of the headroom is what it gains
over ``first``, divided by what the oracle gains. Rules are judged on the candidates that the
preset drew; which ones those are, the preset's own rule decided by when it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import dspy  # noqa: E402

from benchmarks.stored import task_file, whole_lines  # noqa: E402
from lift_sys.app import environment  # noqa: E402
from lift_sys.errors import ProviderError  # noqa: E402
from lift_sys.inference import catalogue  # noqa: E402
from lift_sys.inference.replay import ReplayEngine, StoredCall  # noqa: E402
from lift_sys.inference.scripted import ScriptedEngine  # noqa: E402
from lift_sys.sandbox import Sandbox, create_sandbox  # noqa: E402
from lift_sys.tasks import Task, load_tasks  # noqa: E402
from metrics.execution import score_code  # noqa: E402
from metrics.stats import Rate  # noqa: E402
from programs.agreement import check_agreement  # noqa: E402
from programs.attempts import Attempt, Draw, Remembering  # noqa: E402
from programs.belief import reliability_of  # noqa: E402
from programs.presets import make_program  # noqa: E402
from programs.select import RULES  # noqa: E402
from programs.spec_to_code import SpecToCode  # noqa: E402

CALIBRATED = "assertions, calibrated"
ORACLE = "oracle"


class StoredAnswers:
    """The generated answers of a run, to be read and never added to."""

    def __init__(self, run: Path) -> None:
        calls = map(StoredCall.model_validate_json, whole_lines(run / "calls.jsonl"))
        self._known = {call.key: call for call in calls}

    def get(self, key: str) -> StoredCall | None:
        """Return the answer with this key, if there is one."""
        return self._known.get(key)

    def put(self, entry: StoredCall) -> None:
        """Keep nothing."""


class Drawn(NamedTuple):
    """The candidates of one task."""

    attempts: tuple[Attempt, ...]
    draw: Draw
    right: tuple[bool, ...]


def replaying_lm(run: Path, model: str) -> dspy.LM:
    """Return a model that knows the stored answers and no others."""
    engine = ReplayEngine(ScriptedEngine([]), catalogue.get(model).sha256, StoredAnswers(run))
    return dspy.LM(f"local/{model}", engine=engine, temperature=0.0, cache=False, num_retries=0)


def draw_again(program: SpecToCode, task: Task, lm: dspy.LM, sandbox: Sandbox) -> Drawn | None:
    """Return the candidates that a program drew for a task; ``None`` where they are not stored.

    Raises:
        SandboxError: The sandbox failed.
    """
    view = task.view
    try:
        with dspy.context(lm=lm):
            answer = program(spec=view.spec, entry_point=view.entry_point, visible=view.visible)
    except ProviderError:
        return None
    attempts: tuple[Attempt, ...] = answer.attempts
    right = tuple(score_code(task, a.code, a.failure, sandbox).passed for a in attempts)
    return Drawn(attempts, Draw(view, len(attempts), Remembering(sandbox)), right)


def choices(drawn: Drawn, lm: dspy.LM) -> dict[str, bool]:
    """Return for each rule, and for the oracle, whether what it takes is right."""
    attempts, draw, right = drawn
    weighed = [_weigh(attempt, draw, lm) for attempt in attempts]
    taken = {name: rule.choose(attempts, draw).index for name, rule in RULES.items()}
    taken[CALIBRATED] = RULES["assertions"].choose(weighed, draw).index
    return {name: right[index] for name, index in taken.items()} | {ORACLE: any(right)}


def _weigh(attempt: Attempt, draw: Draw, lm: dspy.LM) -> Attempt:
    if attempt.code is None:
        return attempt
    view, known = draw.view, reliability_of(lm)
    name = str(view.entry_point)
    found = check_agreement(attempt.code, name, attempt.ir, view.visible, draw.sandbox, known)
    return attempt.model_copy(update={"agreement": found})


def report(preset: str, found: Sequence[dict[str, bool]], left_out: int) -> str:
    """Return the table of one preset as Markdown."""
    lines = [f"### {preset}: {len(found)} tasks, {left_out} left out", ""]
    lines += ["| rule | right | share of the headroom |", "|---|---|---:|"]
    right = {name: sum(one[name] for one in found) for name in (found[0] if found else ())}
    for name, count in right.items():
        room = right[ORACLE] - right["first"]
        share = f"{(count - right['first']) / room:.0%}" if room else "no headroom"
        lines += [f"| {name} | {Rate.of(count, len(found))} | {share} |"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw again, choose, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument("presets", nargs="+", help="presets that were run there")
    parser.add_argument("--data", default="dev", help="a shipped set or a file")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="the run's model")
    options = parser.parse_args()
    environment.prepare()
    tasks, lm = load_tasks(task_file(options.data)), replaying_lm(options.run, options.model)
    with closing(create_sandbox()) as sandbox:
        for preset in options.presets:
            program = make_program(preset, sandbox)
            drawn = [draw_again(program, task, lm, sandbox) for task in tasks]
            known = [d for d in drawn if d is not None]
            found = [choices(d, lm) for d in known]
            print(report(preset, found, len(drawn) - len(known)))


if __name__ == "__main__":
    main()
