"""What a job will cost, before anything is spent: from measured rates, phase by phase.

Owns the phases of a job as a sum of answers. Each cost is a range: ``low`` where the first
candidate is good enough every time, ``high`` where every one is drawn and rewritten. What no rate
is known for stays unknown.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lift_sys.app.data import Data
from lift_sys.app.pool import teach
from lift_sys.app.rates import Rates, StageRate
from lift_sys.config import JOINT, RunConfig
from lift_sys.inference import catalogue
from lift_sys.sandbox.base import ClosedSandbox
from optimizers.pools import DemoSet, Pool
from optimizers.space import Point, SearchSpace
from programs.expense import expenses
from programs.hypers import hypers_of, set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode

SAMPLED = 200
"""Points of the space whose mean stands for a trial that the sampler will propose."""

NO_DEMOS = Pool(sets=(DemoSet(name="none", tasks=(), demos={}),))

REEVALUATION = "re-evaluation"
"""Name of the phase in which the best trials run again; the search ends with it."""

HOUR = 3600.0
MILLION = 1e6


@dataclass(frozen=True)
class Cost:
    """What answers cost.

    Attributes:
        tokens_out: Generated.
        tokens_in: Of prompts, cached ones included.
        seconds: Wall time of the answers, one after the other.
        usd: At the prices of the catalogue; NaN where one is not known.
    """

    tokens_out: float = 0.0
    tokens_in: float = 0.0
    seconds: float = 0.0
    usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.tokens_out + other.tokens_out,
            self.tokens_in + other.tokens_in,
            self.seconds + other.seconds,
            self.usd + other.usd,
        )

    def __mul__(self, factor: float) -> Cost:
        return Cost(
            self.tokens_out * factor,
            self.tokens_in * factor,
            self.seconds * factor,
            self.usd * factor,
        )

    def within(self, tokens_out: float) -> Cost:
        """Return as much of it as this many generated tokens pay for."""
        return self * min(1.0, tokens_out / self.tokens_out) if self.tokens_out else self


@dataclass(frozen=True)
class Estimate:
    """A range of costs, or what is not known of them.

    Attributes:
        low: Where the first candidate is good enough every time, and no trial that runs again
            samples anything.
        high: Where everything is drawn and rewritten.
        unknown: Models and stages without a rate; if there are any, the costs mean nothing.
        used: The rates that it rests on.
    """

    low: Cost = Cost()
    high: Cost = Cost()
    unknown: frozenset[tuple[str, str]] = frozenset()
    used: frozenset[tuple[str, str]] = frozenset()

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.low + other.low,
            self.high + other.high,
            self.unknown | other.unknown,
            self.used | other.used,
        )

    def __mul__(self, factor: float) -> Estimate:
        return Estimate(self.low * factor, self.high * factor, self.unknown, self.used)

    def within(self, tokens_out: float) -> Estimate:
        """Return as much of it as this many generated tokens pay for."""
        low, high = self.low.within(tokens_out), self.high.within(tokens_out)
        return Estimate(low, high, self.unknown, self.used)


@dataclass(frozen=True)
class Phase:
    """A part of a job.

    Attributes:
        name: As the job calls it.
        what: What is run in it.
        estimate: Of its cost.
    """

    name: str
    what: str
    estimate: Estimate


@dataclass
class Estimator:
    """Estimates what programs cost on one task.

    Attributes:
        model: Id of the job's model.
        rates: What is known of answers.
        start: Has the values of hypers that a point leaves out.
    """

    model: str
    rates: Rates
    start: SpecToCode = field(default_factory=lambda: make_program("single", ClosedSandbox()))

    def __post_init__(self) -> None:
        self._program = self.start.deepcopy()
        self._values = {path: hyper.value for path, hyper in hypers_of(self.start).items()}

    def preset(self, name: str) -> Estimate:
        """Estimate a preset."""
        return self.program(make_program(name, ClosedSandbox()))

    def point(self, point: Point) -> Estimate:
        """Estimate a point of a space; what is no hyper, as a demo set, costs no answer."""
        named = {path: value for path, value in point.items() if path in self._values}
        set_hypers(self._program, {**self._values, **named})
        return self.program(self._program)

    def program(self, program: SpecToCode) -> Estimate:
        """Estimate a program."""
        total = Estimate()
        for expense in expenses(program):
            model = expense.model or self.model
            key = (model, expense.stage)
            if key in self.rates:
                cost = cost_of(model, self.rates[key])
                used = frozenset({key})
                total += Estimate(cost * expense.fewest, cost * expense.most, used=used)
            else:
                total += Estimate(unknown=frozenset({key}))
        return total

    def mean(self, space: SearchSpace, seed: int) -> Estimate:
        """Estimate a point of a space that nothing is known of: the mean of sampled ones."""
        return _sum(self.point(p) for p in sampled(space, seed)) * (1 / SAMPLED)


class _Sampling:
    """A trial that takes each choice with the same probability."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:  # noqa: ARG002 (Optuna's)
        """Return one of the choices."""
        return self._source.choice(choices)


def sampled(space: SearchSpace, seed: int) -> list[Point]:
    """Return points of a space, each choice with the same probability."""
    trial = _Sampling(random.Random(f"{seed}/estimate"))  # noqa: S311 (not a secret)
    return [space.suggest(trial) for _ in range(SAMPLED)]


def cost_of(model: str, rate: StageRate) -> Cost:
    """Return what an answer at a rate costs with a model."""
    infos = catalogue.answering(model)
    price = infos[0].price
    # Which member of a chain will answer is not known.
    if price is None or any(info.price != price for info in infos):
        usd = math.nan
    else:
        asked = rate.tokens_in * price.million_input + rate.tokens_out * price.million_output
        usd = asked / MILLION + rate.seconds / HOUR * price.hour
    return Cost(rate.tokens_out, rate.tokens_in, rate.seconds, usd)


def _sum(estimates: Iterable[Estimate]) -> Estimate:
    return sum(estimates, Estimate())


def estimate_job(
    config: RunConfig, data: Data, space: SearchSpace, rates: Rates, *, open_test: bool
) -> list[Phase]:
    """Estimate each phase of a job that begins anew.

    Args:
        config: The job.
        data: Its task sets.
        space: What is searched.
        rates: What is known of answers.
        open_test: Whether the final table is of the test set.
    """
    estimator = Estimator(config.model, rates)
    if config.optimizer != JOINT:
        return _compiling(config, data, estimator, open_test=open_test)
    first = [space.complete(point) for point in config.first_points][: config.trials]
    mean = estimator.mean(space, config.seed)
    dev, final = len(data.dev), len(data.test if open_test else data.dev)
    trials = _sum(map(estimator.point, first)) + mean * (config.trials - len(first))
    search = (trials * dev).within(config.search_tokens)
    table = estimator.preset("direct") + estimator.preset("single") + mean
    # What samples nothing gives its stored answers again.
    best = config.wish.points is not None  # it runs again, too: the wish is measured by it
    count = min(config.reevaluate + best, config.trials) if config.reevaluate else 0
    again = replace(mean * (count * dev), low=Cost())
    return [
        _pooling(config, data, estimator),
        *([_proposing(config)] if config.instructions else []),
        Phase("search", f"at most {config.trials} trials of {dev} dev tasks", search),
        *(
            [Phase(REEVALUATION, f"at most {count} trials of {dev} dev tasks", again)]
            if count
            else []
        ),
        Phase("final table", f"direct, single and the winner on {final} tasks", table * final),
    ]


def _pooling(config: RunConfig, data: Data, estimator: Estimator) -> Phase:
    """Return the phase in which teachers answer train tasks; without either none is run."""
    tasks = min(config.pool_tasks, len(data.train))
    if not config.teachers or not tasks:
        return Phase("demo pool", "gold demos alone, no train task is run", Estimate())
    teachers = _sum(estimator.program(teach(t, ClosedSandbox())) for t in config.teachers)
    taught = ", ".join(teacher.name for teacher in config.teachers)
    return Phase("demo pool", f"{tasks} train tasks, {taught}", teachers * tasks)


def _compiling(
    config: RunConfig, data: Data, estimator: Estimator, *, open_test: bool
) -> list[Phase]:
    """Return the phases of a job whose optimizer is one of DSPy's, which asks what it likes."""
    tasks, dev = min(config.pool_tasks, len(data.train)), len(data.dev)
    final = len(data.test if open_test else data.dev)
    start = estimator.preset(config.preset)
    unknown = Estimate(unknown=frozenset({(config.model, f"what {config.optimizer} asks")}))
    table = estimator.preset("direct") + estimator.preset("single") + start
    what = f"{config.optimizer} on {tasks} train and {dev} dev tasks"
    return [
        Phase("search", what, unknown),
        Phase(
            "before and after",
            f"2 programs on {len(data.dev)} dev tasks",
            start * 2 * len(data.dev),
        ),
        Phase("final table", f"direct, single and the winner on {final} tasks", table * final),
    ]


def _proposing(config: RunConfig) -> Phase:
    """Return the phase whose cost depends on what the proposers find."""
    asked = ", ".join(f"{count} of {name}" for name, count in config.instructions.items())
    unknown = frozenset({(config.prompt_model or config.model, "proposed instructions")})
    return Phase("instructions", f"for each stage {asked}", Estimate(unknown=unknown))
