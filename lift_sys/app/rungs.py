"""What each rung of the plan's ladder runs: a preset with settings on a model.

Owns the points of the ladder, and whether their models can be asked as things are set up. A rung is
exactly a program of ``lift eval``, so both share run directories, rows and answers.
"""

from __future__ import annotations

import itertools
import shlex
from dataclasses import asdict, dataclass

from lift_sys.app import environment
from lift_sys.app.lineup import Wanted, make_lineup
from lift_sys.app.measure import TaskSet
from lift_sys.errors import ConfigError, ModelError
from lift_sys.inference import catalogue
from lift_sys.inference.lm import require_servable
from lift_sys.sandbox.base import Sandbox
from optimizers.assess import Rung
from programs.ensemble import Program

FEW_SHOT = ("demos=gold-3", "quirks=triggered")
"""The plan's better prompts: three gold demos, and the quirks that matter for the spec."""

PRESETS = {Rung.BEST_OF_N: "best_of_n", Rung.HYBRID: "hybrid"}
"""Presets of the rungs; of all others ``single``."""


@dataclass(frozen=True)
class Ladder:
    """The models of an assessment, by id in the catalogue.

    Attributes:
        small: Where the climb begins.
        large: The plan's Option A.
        claude: Writes the IRs of the rung Claude, whose code stays with the other models.
        tuned: Fine-tuned weights; ``None`` where there are none.
    """

    small: str
    large: str
    claude: str
    tuned: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The models that are named."""
        return tuple(m for m in (self.small, self.large, self.claude, self.tuned) if m)

    def check(self) -> None:
        """Refuse models that no rung could use.

        Raises:
            ConfigError: Two rungs may be the same.
            ModelError: There is no such model.
        """
        for model in self.ids:
            catalogue.get(model)
        for (one, first), (other, second) in itertools.combinations(asdict(self).items(), 2):
            # Fine-tuned weights write the whole answer, Claude the IR alone.
            if first == second and {one, other} != {"claude", "tuned"}:
                msg = (
                    f"--{one} and --{other} are both {first}, so that two rungs may be the same; "
                    f"name another model with --{other}"
                )
                raise ConfigError(msg)


@dataclass(frozen=True)
class Point:
    """What a rung runs.

    Attributes:
        preset: The strategy.
        settings: ``PATH=VALUE``, as for ``lift eval --set``.
        model: Id of the program's model.
        asked: Ids of all models that are asked.
    """

    preset: str
    settings: tuple[str, ...]
    model: str
    asked: tuple[str, ...]

    @property
    def name(self) -> str:
        """What ``lift eval`` calls it."""
        return ", ".join([self.preset, *self.settings])

    def command(self, data: TaskSet) -> str:
        """Return the command that measures the same, as a shell takes it."""
        words = ["lift", "eval", "--preset", self.preset]
        words += [word for setting in self.settings for word in ("--set", setting)]
        words += ["--model", self.model, "--data", data.name]
        words += ["--limit", str(data.limit)] if data.limit is not None else []
        words += ["--open-test"] if data.is_test else []
        return shlex.join(words)

    def program(self, sandbox: Sandbox) -> Program:
        """Return the program.

        Raises:
            LiftError: A setting or the model is none of this release's.
        """
        wanted = Wanted(None, (self.preset,), self.model, self.settings)
        (program,) = make_lineup(wanted, sandbox).programs.values()
        return program


def point(rung: Rung, ladder: Ladder, prompts: Rung, base: str) -> Point | None:
    """Return what a rung runs; ``None`` where the ladder has no model for it.

    Args:
        rung: The rung.
        ladder: The models.
        prompts: The rung whose prompts later rungs stand on.
        base: Id of the model that the hybrid and Claude's code stand on.
    """
    model = {
        Rung.LARGER: ladder.large,
        Rung.HYBRID: base,
        Rung.CLAUDE: base,
        Rung.TUNED: ladder.tuned,
    }.get(rung, ladder.small)
    if model is None:
        return None
    plain = rung is Rung.ZERO_SHOT or (rung is not Rung.FEW_SHOT and prompts is Rung.ZERO_SHOT)
    settings = () if plain else FEW_SHOT
    asked: tuple[str, ...] = (model,)
    if rung is Rung.CLAUDE:
        settings = (*settings, f"ir_generator.model={ladder.claude}")
        asked = (model, ladder.claude)
    return Point(PRESETS.get(rung, "single"), settings, model, asked)


def missing(model_id: str) -> str | None:
    """Return why a model cannot be asked as things are set up; ``None`` where nothing is known."""
    try:
        require_servable(model_id, environment.keys_of(catalogue.all_models()))
    except ModelError as error:
        return str(error)
    return None
