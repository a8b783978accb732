"""What a run is asked to do.

Owns the one configuration type of an optimization job. It is resolved and checked before any
model call, stored in the run directory, and its hash names that directory.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lift_sys.record import Record, Versioned, digest
from lift_sys.wish import BEST, Cost, Wish

Choice = str | int | float | bool
SetKind = Literal["spread", "short", "bank"]
"""How a demo set is made; ``optimizers.pools`` says what each is."""

JOINT = "joint"
"""The optimizer that searches demos and hypers together; every other one is DSPy's."""

Proposer = Literal["grounded", "copro", "gepa"]
"""Who writes candidates for instructions; ``optimizers.instructions`` says how each works."""

DEFAULT_SPACE: dict[str, tuple[Choice, ...]] = {
    "code_sees": ("ir", "spec_and_ir", "spec"),
    "reason": (False, True),
    "temperature": (0.0, 0.3, 0.7),
    "n": (1, 2, 3),
}

DEFAULT_FIRST_POINTS: tuple[dict[str, Choice], ...] = (
    {"demos": "none", "code_sees": "ir", "reason": False, "temperature": 0.0, "n": 1},
    {"demos": "none", "code_sees": "spec", "reason": False, "temperature": 0.0, "n": 1},
)


class Budget(Record):
    """Most that a job may spend in all, however often it is started; ``None`` is no limit.

    It covers everything that a job asks of models. Answers that are stored cost nothing again.

    Attributes:
        tokens: Tokens of prompts, those from the prefix cache included, and generated ones.
        usd: US dollars at the catalogue's prices; nothing for embedded models.
        seconds: Running time, in seconds, up to the last answer of each start.
    """

    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Executor(Record):
    """Where the tasks of a job are executed; it decides nothing about what comes of them.

    Attributes:
        kind: ``local`` is this machine; ``modal`` spreads tasks over containers there.
        containers: Most containers that work at the same time, at least 1.
        unsafe: Whether generated code may run in a container where no sandbox layer holds.
    """

    kind: Literal["local", "modal"] = "local"
    containers: int = Field(default=4, ge=1)
    unsafe: bool = False


class Teacher(Record):
    """A program whose passing answers on train tasks become demos.

    Attributes:
        preset: Its strategy.
        model: Id in the catalogue of the model of all its stages; by default the job's.
        temperature: Of its answers; by default the preset's.
        rollout: Another number draws other samples, at least 0.
    """

    preset: str = "single"
    model: str | None = None
    temperature: float | None = None
    rollout: int = Field(default=0, ge=0)

    @property
    def name(self) -> str:
        """What its demo sets are called after, e.g. ``single-t0.7``."""
        parts = [self.preset]
        parts += [self.model] if self.model else []
        parts += [f"t{self.temperature:g}"] if self.temperature is not None else []
        parts += [f"r{self.rollout}"] if self.rollout else []
        return "-".join(parts)


class RunConfig(Versioned):
    """An optimization job.

    Attributes:
        model: Id in the catalogue.
        optimizer: ``joint``, or a name in ``optimizers.recipes.RECIPES``.
        preset: The program that one of DSPy's optimizers starts from, and whose hypers it keeps.
        seed: Of everything that is random.
        train_data: A shipped set (``train``) or the path of a task file; demos come from it.
        dev_data: Likewise; selection uses it.
        test_data: Likewise; only the final table uses it.
        pool_tasks: Train tasks that each teacher is run on to bootstrap demos, and that proposers
            of instructions are shown; those that one of DSPy's optimizers is given.
        demos: Demos in a demo set that is no bank; most that one of DSPy's optimizers gives a
            predictor.
        demo_sets: Which demo sets are made of gold demos and of each teacher's. A bank holds all of
            them; search ``code_generator.demo_choice`` and the like beside it.
        teachers: Whose passing answers become demos.
        demos_for: Whether one demo set is chosen for the whole ``program`` (``demos``) or one for
            each ``predictor`` (``ir_generator.demos``, ``code_generator.demos``).
        instructions: How many candidates for instructions each proposer writes for each stage that
            the search can ask, 1 to 8; they are searched as ``ir_generator.instructions`` and the
            like, beside the program's own.
        prompt_model: Id in the catalogue of the model that writes instructions; by default the
            job's own.
        dev_tasks: Dev tasks every trial runs.
        test_tasks: Most test tasks in the final table.
        trials: Most trials; most programs that one of DSPy's optimizers runs on all dev tasks.
        search_tokens: Generated tokens after which the search ends.
        drop_alpha: Most probability that racing gives up a trial that would have passed as many
            tasks as the best one; 0 gives up only what exactly cannot win.
        reevaluate: How many of the best trials run again with fresh samples before the winner is
            named; their tokens come on top of ``search_tokens``. What samples nothing costs nothing
            again.
        budget: Most that the whole job may spend. It does not name the run directory, so the same
            job goes on with a larger one.
        executor: Where tasks are executed. It does not name the run directory either, so a job may
            go on elsewhere.
        objectives: What the search keeps low, beside passing most tasks; by default nothing.
        wish: Which program of the search the job ends with. A wish for cheapness adds its cost to
            the objectives.
        space: Choices per hyper path; demo sets and instructions are searched as well.
        first_points: Points tried before the sampler proposes any. What they leave out, or name
            outside the space, takes its first choice.
    """

    current_version: ClassVar[int] = 1

    model: str = "qwen2.5-coder-0.5b"
    optimizer: str = JOINT
    preset: str = "single"
    seed: int = 0
    train_data: str = "train"
    dev_data: str = "dev"
    test_data: str = "phase3"
    pool_tasks: int = Field(default=6, ge=0)
    demos: int = Field(default=2, ge=1, le=8)
    demo_sets: tuple[SetKind, ...] = ("spread",)
    teachers: tuple[Teacher, ...] = (Teacher(),)
    demos_for: Literal["program", "predictor"] = "program"
    instructions: dict[Proposer, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)
    prompt_model: str | None = None
    dev_tasks: int = Field(default=8, ge=1)
    test_tasks: int = Field(default=18, ge=1)
    trials: int = Field(default=8, ge=1)
    search_tokens: int = Field(default=9_000, ge=1)
    drop_alpha: float = Field(default=0.05, ge=0, lt=1)
    reevaluate: int = Field(default=2, ge=0)
    budget: Budget = Budget()
    executor: Executor = Executor()
    objectives: tuple[Cost, ...] = ()
    wish: Wish = BEST
    space: dict[str, tuple[Choice, ...]] = DEFAULT_SPACE
    first_points: tuple[dict[str, Choice], ...] = DEFAULT_FIRST_POINTS

    @model_validator(mode="after")
    def _choices(self) -> Self:
        empty = [path for path, choices in self.space.items() if not choices]
        if empty:
            msg = f"the space of {empty[0]!r} has no choices"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _pool(self) -> Self:
        names = [teacher.name for teacher in self.teachers]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            msg = f"the teacher {twice[0]!r} is named twice; another rollout draws other samples"
            raise ValueError(msg)
        if self.instructions and not self.pool_tasks:
            msg = "proposers of instructions are shown train tasks: pool_tasks must be at least 1"
            raise ValueError(msg)
        return self

    def asked(self) -> dict[str, Any]:
        """Return what is asked, as JSON: all but how much it may cost and where it is executed.

        A job that a budget ended is the same job when it goes on with a larger one, or elsewhere.
        """
        return self.model_dump(mode="json", exclude={"budget", "executor"})

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What the search keeps low: the objectives, and what the wish is about."""
        wished: tuple[Cost, ...] = (self.wish.cost,) if self.wish.cost else ()
        if self.wish.for_cheapest and not self.objectives and not wished:
            wished = ("tokens",)
        return tuple(dict.fromkeys((*self.objectives, *wished)))

    def searched(self) -> dict[str, Any]:
        """Return what the search depends on, as JSON.

        The wish is not in it: what a search found fulfils one wish as well as another.
        """
        job = self.asked() | {"objectives": self.costs}
        del job["wish"]
        return job

    def content_hash(self, data_hashes: dict[str, str]) -> str:
        """Return the hash of this job on these data files (SHA-256 by name)."""
        return digest([self.searched(), data_hashes])
