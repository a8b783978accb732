"""The front of a search as figures: its programs, the one that a wish chose, and the evidence.

Owns what a report keeps of it; ``front_tables`` owns how it is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from lift_sys.config import RunConfig
from lift_sys.record import Record
from lift_sys.tasks import Task
from lift_sys.wish import BEST, Cost, Wish
from metrics.stats import Comparison, Rate, compare, correct
from optimizers.joint import JointSearch
from optimizers.objectives import fulfils, preferred, wished_cost
from optimizers.trials import Tried

FRONT = "front"
"""The folder of a run directory that holds an artifact for each member."""


class Member(Record):
    """A program of the front, on the tasks of the search.

    Attributes:
        trial: Its number.
        artifact: Its file in the run directory.
        rate: Of the tasks that passed.
        again: Likewise with fresh samples; ``None`` where it was not run again.
        tokens: Generated per task.
        usd: Per task; ``None`` where the price of a model is not known.
        seconds: In the model, per task.
        repeated: Whether it gave the same answers when it was run again: nothing is sampled.
    """

    trial: int
    artifact: str
    rate: Rate
    again: Rate | None
    tokens: float
    usd: float | None
    seconds: float
    repeated: bool = False


class Answer(Record):
    """The program that a wish chose.

    Attributes:
        wish: What was asked for.
        cost: What the wish keeps low or limits.
        trial: Number of the chosen one.
        rate: On the tasks that it was chosen by: with fresh samples where it was run again.
        spent: Of ``cost``, per task.
        fulfilled: Whether it is what was asked for, as it was measured.
        best: Number of the trial that passed most; of those that were run again, and of the front's
            best one as it was before if it was not.
        cheapest: Number of the trial that is cheapest in ``cost``, likewise.
        against_best: The choice against the best; ``None`` where they are one.
        against_cheapest: The choice against the cheapest, likewise.
    """

    wish: Wish
    cost: Cost
    trial: int
    rate: Rate
    spent: float
    fulfilled: bool
    best: int
    cheapest: int
    against_best: Comparison | None
    against_cheapest: Comparison | None


class Front(Record):
    """Programs of which none beats another in success and every cost.

    Attributes:
        costs: What the search kept low.
        members: The one that passes most first.
        answer: Which of them was chosen, and why.
    """

    costs: tuple[Cost, ...]
    members: tuple[Member, ...]
    answer: Answer


def artifact_of(trial: Tried) -> str:
    """Return the file, in the run directory, of a trial on the front."""
    return f"{FRONT}/trial-{trial.number}.json"


def front_of(
    search: JointSearch, config: RunConfig, tasks: Sequence[Task], *, priced: bool
) -> Front:
    """Return the front of a finished search that kept costs low.

    Args:
        search: Of the job.
        config: The job.
        tasks: Those that trials ran, in that order.
        priced: Whether the prices of all models are known.
    """
    again = {r.number: Rate.of(r.passed, r.tried) for r in search.reevaluations}
    repeated = {r.number for r in search.reevaluations if r.repeated}
    members = tuple(
        Member(
            trial=trial.number,
            artifact=artifact_of(trial),
            rate=Rate.of(trial.passed, trial.tried),
            again=again.get(trial.number),
            repeated=trial.number in repeated,
            tokens=trial.per_task("tokens"),
            usd=trial.per_task("usd") if priced else None,
            seconds=trial.per_task("seconds"),
        )
        for trial in search.front
    )
    candidates = search.reevaluations or search.front
    ids = [task.id for task in tasks]
    answer = answer_of(config.wish, candidates, config.costs, ids, search.front)
    return Front(costs=config.costs, members=members, answer=answer)


def answer_of(
    wish: Wish,
    candidates: Sequence[Tried],
    costs: Sequence[Cost],
    task_ids: Sequence[str],
    members: Sequence[Tried] = (),
) -> Answer:
    """Return what a wish chooses, compared with the best and with the cheapest of the front.

    Args:
        wish: What is wanted.
        candidates: On the same tasks; at least one.
        costs: What the search kept low; at least one.
        task_ids: In the order of the candidates' outcomes.
        members: Of the front, where the candidates are those of it that were run again.
    """
    cost = wished_cost(wish, costs)
    choice = preferred(wish, candidates, costs)[0]
    best = _first(BEST, candidates, costs, members)
    cheapest = _first(Wish(cost=cost, points=100), candidates, costs, members)
    others = {o.number: o for o in (best, cheapest) if o.number != choice.number}

    def outcomes(one: Tried) -> dict[str, bool]:
        return dict(zip(task_ids, one.outcomes, strict=True))

    compared = correct([compare(outcomes(o), outcomes(choice)) for o in others.values()])
    against = dict(zip(others, compared, strict=True))
    return Answer(
        wish=wish,
        cost=cost,
        trial=choice.number,
        rate=Rate.of(choice.passed, choice.tried),
        spent=choice.per_task(cost),
        fulfilled=fulfils(wish, choice, [*candidates, best], costs),
        best=best.number,
        cheapest=cheapest.number,
        against_best=against.get(best.number),
        against_cheapest=against.get(cheapest.number),
    )


def _first(
    wish: Wish, candidates: Sequence[Tried], costs: Sequence[Cost], members: Sequence[Tried]
) -> Tried:
    """Return what a wish chooses if the front's own choice is a candidate, too."""
    known = {candidate.number for candidate in candidates}
    own = [one for one in preferred(wish, members, costs)[:1] if one.number not in known]
    return preferred(wish, [*candidates, *own], costs)[0]
