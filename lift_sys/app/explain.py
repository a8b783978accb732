"""A job in words, before it is run: its space, its pool and what it will cost.

Owns what ``lift optimize --explain`` prints. Nothing is asked of a model, executed or written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lift_sys.app.data import Data
from lift_sys.app.estimate import REEVALUATION, Estimate, Phase, estimate_job
from lift_sys.app.job import Job
from lift_sys.app.models import models_of_job
from lift_sys.app.pool import origin_of, stored_pool, teach
from lift_sys.app.rates import Rates, known_rates
from lift_sys.app.space import asked_predictors, search_space
from lift_sys.config import JOINT, RunConfig, Teacher
from lift_sys.sandbox.base import ClosedSandbox
from optimizers.pools import DemoSet, Instructions, Pool, build_pool, set_name, stage_of
from optimizers.space import Dimension, Point, SearchSpace
from programs.demos import make_demos
from programs.presets import make_program

MINUTE = 60.0

MOST_SHOWN = 8
"""Tasks of a demo set that are named."""


@dataclass(frozen=True)
class ExpectedPool:
    """What is known of a job's pool.

    Attributes:
        pool: The stored one; before it is built, what is certain to be in it.
        perhaps: Sets that join it if enough answers pass, without what they show; none once it is
            built.
        instructions: All that can be proposed, without their text; once it is built, those of it.
        built: Whether it is the stored one.
    """

    pool: Pool
    perhaps: tuple[DemoSet, ...]
    instructions: dict[str, tuple[Instructions, ...]]
    built: bool

    @property
    def whole(self) -> Pool:
        """The largest pool that it can become; of what may join only the names are known."""
        return Pool(sets=(*self.pool.sets, *self.perhaps), instructions=self.instructions)


def expected_pool(config: RunConfig, data: Data, run: Path) -> ExpectedPool:
    """Return the pool that a run has stored, or what can be said of it beforehand.

    Raises:
        StoreError: The stored one cannot be read.
    """
    stored = stored_pool(run)
    if stored is not None:
        return ExpectedPool(stored.pool, (), stored.pool.instructions, built=True)
    size, program = config.demos, make_program("single", ClosedSandbox())
    pool = build_pool(
        data.train, {}, make_demos, size=size, seed=config.seed, kinds=config.demo_sets
    )
    enough = min(config.pool_tasks, len(data.train)) >= size
    proposed = tuple(
        Instructions(name=f"{proposer}-{number}", text="")
        for proposer, count in config.instructions.items()
        for number in range(1, count + 1)
    )
    asked = asked_predictors(config, program) if proposed else ()
    return ExpectedPool(
        pool=pool,
        perhaps=tuple(s for t in config.teachers for s in _taught(t, config)) if enough else (),
        instructions=dict.fromkeys(asked, proposed),
        built=False,
    )


def _taught(teacher: Teacher, config: RunConfig) -> list[DemoSet]:
    """Return the sets that a teacher can make, empty where the demos will be."""
    with_ir = teach(teacher, ClosedSandbox()).ir_detail.value != "none"
    paths = ["code_generator.predict", *(["ir_generator.predict"] if with_ir else [])]
    names = (set_name(origin_of(teacher), kind, config.demos) for kind in config.demo_sets)
    return [DemoSet(name=n, tasks=(), demos={path: ({},) for path in paths}) for n in names]


def explain(config: RunConfig, data: Data, runs: Path, *, open_test: bool) -> str:
    """Return the space, the pool and the cost of a job as Markdown.

    Args:
        config: The job.
        data: Its task sets.
        runs: Where run directories are; earlier runs there tell what answers cost.
        open_test: Whether the final table is of the test set.

    Raises:
        ConfigError: The job would be refused.
        StoreError: The stored pool of the run cannot be read.
    """
    job = Job.of(config, data, ClosedSandbox())
    job.check()
    run = job.place(runs)
    expected = expected_pool(config, data, run)
    program = make_program("single", ClosedSandbox())
    space = search_space(config, expected.whole, program)
    rates = known_rates(runs)
    phases = estimate_job(config, data, space, rates, open_test=open_test)
    lines = [] if config.optimizer == JOINT else [_optimizer_line(config), ""]
    lines += (
        []
        if lines
        else [
            *_space_lines(space, search_space(config, expected.pool, program), expected),
            *_first_lines(config, space),
            *_pool_lines(config, data, expected),
        ]
    )
    lines += [*_cost_lines(phases), *_basis_lines(phases, rates, config)]
    if run.exists():
        lines += [f"The run directory {run} is there: what it holds is not paid for again.", ""]
    return "\n".join(lines)


def _optimizer_line(config: RunConfig) -> str:
    return (
        f"The optimizer {config.optimizer} is one of DSPy's: it starts from the preset "
        f"{config.preset}, runs at most {config.trials} programs on all dev tasks, and leaves the "
        "hypers as they are."
    )


def _space_lines(space: SearchSpace, certain: SearchSpace, expected: ExpectedPool) -> list[str]:
    size = f"{space.size:,} points"
    if space.size != certain.size:
        names = [s.name for s in expected.perhaps]
        if not expected.built and expected.instructions:
            names.append("proposed instructions")
        size = f"at most {size} ({certain.size:,} without {_listed(names, 'and')})"
    lines = [f"## Space: {len(space.dimensions)} dimensions, {size}", ""]
    return [*lines, *map(_dimension, space.dimensions), ""]


def _dimension(dimension: Dimension) -> str:
    text = f"- {dimension.path}: " + " | ".join(_word(choice) for choice in dimension.choices)
    if len(dimension.choices) == 1:
        return f"{text} (fixed)"
    needs = (f"{path} is {_listed(values)}" for path, values in dimension.needs.items())
    conditions = " and ".join(needs)
    return f"{text}, only if {conditions}" if conditions else text


def _first_lines(config: RunConfig, space: SearchSpace) -> list[str]:
    points = [space.complete(point) for point in config.first_points]
    if not points:
        return []
    return ["## First points", "", *(f"{i}. {_point(p)}" for i, p in enumerate(points, 1)), ""]


def _pool_lines(config: RunConfig, data: Data, expected: ExpectedPool) -> list[str]:
    state = "as built" if expected.built else "before it is built"
    lines = [f"## Demo pool, {state}", ""]
    lines += [f"- {s.name}: {_tasks(s) or 'no demos'}" for s in expected.pool.sets]
    asked = min(config.pool_tasks, len(data.train))
    needed = f"joins if at least {config.demos} of {asked} train tasks pass"
    lines += [f"- {s.name}: {needed}" for s in expected.perhaps]
    if expected.instructions:
        state = "chosen from" if expected.built else "to be proposed"
        counts = (f"{len(c)} for {stage_of(p)}" for p, c in expected.instructions.items())
        lines.append(f"- instructions {state}: {', '.join(counts)}")
    return [*lines, ""]


def _tasks(demo_set: DemoSet) -> str:
    shown = ", ".join(demo_set.tasks[:MOST_SHOWN])
    more = len(demo_set.tasks) - MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _cost_lines(phases: Sequence[Phase]) -> list[str]:
    head = "| phase | what | tokens out | tokens in | minutes | USD |"
    rows = [_row(phase.name, phase.what, phase.estimate) for phase in phases]
    total = sum((phase.estimate for phase in phases), Estimate())
    return ["## Cost", "", head, "|---|---|---:|---:|---:|---:|", *rows, _row("all", "", total), ""]


def _row(name: str, what: str, estimate: Estimate) -> str:
    low, high = estimate.low, estimate.high
    if estimate.unknown:
        cells = ["unknown"] * 4
    else:
        cells = [
            _range(low.tokens_out, high.tokens_out),
            _range(low.tokens_in, high.tokens_in),
            _range(low.seconds / MINUTE, high.seconds / MINUTE),
            _range(low.usd, high.usd, ".2f"),
        ]
    return f"| {name} | {what} | {' | '.join(cells)} |"


def _basis_lines(phases: Sequence[Phase], rates: Rates, config: RunConfig) -> list[str]:
    total = sum((phase.estimate for phase in phases), Estimate())
    lines = ["It rests on the mean cost of an answer:", ""] if total.used else []
    for model, stage in sorted(total.used):
        rate = rates[model, stage]
        seconds = f"{rate.seconds:.1f} s" + " on our two cores" * (rate.source == "shipped")
        lines.append(
            f"- {model}, {stage}: {rate.tokens_out:.0f} tokens out, {rate.tokens_in:.0f} in, "
            f"{seconds} ({rate.calls:,} answers, {rate.source})"
        )
    lines += [
        f"- {model}, {stage}: unknown, it was never measured here"
        for model, stage in sorted(total.unknown)
    ]
    return [
        *lines,
        "",
        f"The lower figures are for first candidates that are good enough{_same(phases)}, the upper"
        " ones for everything drawn and rewritten. Trials that are given up early and answers that"
        f" trials share make it less{_end(config)}."
        f"{_budget(config)} Demos in prompts, which cost tokens in, are not counted.",
        f"Models: {', '.join(models_of_job(config))}. Nothing was asked of them, and nothing was"
        " written.",
        "",
    ]


def _same(phases: Sequence[Phase]) -> str:
    again = any(phase.name == REEVALUATION for phase in phases)
    return ", and for trials that give the same answers when they run again" if again else ""


def _end(config: RunConfig) -> str:
    if config.optimizer != JOINT:
        return ""
    return f"; the search ends after {config.search_tokens:,} generated tokens"


def _budget(config: RunConfig) -> str:
    limits = config.budget.model_dump(exclude_none=True)
    listed = ", ".join(f"{limit:,} {name}" for name, limit in limits.items())
    return f" The budget of {listed} ends the job." if listed else ""


def _range(low: float, high: float, form: str = ",.0f") -> str:
    if math.isnan(high):
        return "unknown"
    first, last = format(low, form), format(high, form)
    return first if first == last else f"{first}–{last}"


def _point(point: Point) -> str:
    return ", ".join(f"{path}={_word(value)}" for path, value in point.items())


def _listed(values: Iterable[Any], word: str = "or") -> str:
    *most, last = map(_word, values)
    return f"{', '.join(most)} {word} {last}" if most else last


def _word(value: Any) -> str:
    """Return a value as a job file has it; text without quotes."""
    return value if isinstance(value, str) else json.dumps(value)
