"""Which programs one measurement runs, what they are called, and which of them are compared.

Owns the words of ``lift eval`` for programs: presets, ``--set`` and ``--vary``. Nothing is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lift_sys.app.export import build_program, load_artifact
from lift_sys.app.gold_demos import NONE, demo_set
from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.record import digest
from lift_sys.sandbox.base import Sandbox
from optimizers.pools import DEMOS
from programs.ensemble import Program
from programs.hypers import set_hypers
from programs.presets import PRESETS, make_program
from programs.spec_to_code import SpecToCode
from programs.stages import named_models

ALL = "all"
"""Stands for every preset."""

BASELINES = ("direct", "single")
"""Presets with which every other program is compared, the cheaper one first."""

Settings = Mapping[str, Any]
"""Values of hypers by path; ``demos`` names a demo set."""


@dataclass(frozen=True)
class Wanted:
    """What was asked to be measured.

    Attributes:
        artifact: A compiled program; it is measured as it is.
        presets: Names, or ``ALL``.
        model: Id of the model; an artifact brings its own, also for the presets beside it.
        settings: ``PATH=VALUE``, for every preset.
        variations: ``PATH=VALUE``, each one more program for every preset.
        equal_tokens: Whether direct prompting is also given the tokens of each program.
    """

    artifact: Path | None
    presets: Sequence[str]
    model: str
    settings: Sequence[str] = ()
    variations: Sequence[str] = ()
    equal_tokens: bool = False


@dataclass(frozen=True)
class Lineup:
    """Programs to measure on the same tasks.

    Attributes:
        model: Id of the model.
        programs: By name, in the order of the table; the artifact's is the last.
        pairs: Names of programs to compare, the second against the first.
        spenders: Names of those whose tokens direct prompting is given too.
        artifact: Path of the artifact.
    """

    model: str
    programs: Mapping[str, Program]
    pairs: Sequence[tuple[str, str]]
    spenders: Sequence[str]
    artifact: Path | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Ids of all models that the programs ask."""
        named = [model for p in self.programs.values() for model in named_models(p)]
        return tuple(dict.fromkeys((self.model, *named)))


def make_lineup(wanted: Wanted, sandbox: Sandbox) -> Lineup:
    """Return the programs that were asked for.

    Raises:
        ConfigError: Nothing to measure, no such preset, hyper or value, or an option that changes
            nothing.
        ArtifactError: The artifact cannot be used.
        ModelError: No such model.
    """
    presets = list(dict.fromkeys(wanted.presets))
    if ALL in presets:
        presets = list(PRESETS)
    settings = dict(_setting(text) for text in wanted.settings)
    variations = [_setting(text) for text in wanted.variations]
    _refuse_idle(wanted, presets)
    plain = {_named(p, settings): _preset(p, settings, sandbox) for p in presets}
    varied = _vary(presets, settings, variations, sandbox)
    programs: dict[str, Program] = {}
    for name, program in plain.items():
        programs |= {name: program, **{n: p for n, (base, p) in varied.items() if base == name}}
    baselines = [_named(p, settings) for p in BASELINES if p in presets]
    spenders = [_named(p, settings) for p in presets if p != BASELINES[0]]
    compared, model = list(plain), wanted.model
    if wanted.artifact is not None:
        loaded = load_artifact(wanted.artifact)
        name = wanted.artifact.stem
        name = str(wanted.artifact) if name in programs else name
        programs[name] = build_program(loaded, sandbox)
        compared, spenders, model = [*compared, name], [*spenders, name], loaded.model.id
    catalogue.get(model)
    pairs = _pairs(compared, baselines or compared[:1])
    pairs += [(base, name) for name, (base, _) in varied.items()]
    if not wanted.equal_tokens:
        spenders = []
    return Lineup(model, programs, pairs, spenders, wanted.artifact)


def _setting(text: str) -> tuple[str, Any]:
    """Return path and value; the value is JSON, or else a text.

    Raises:
        ConfigError: There is no path or no value.
    """
    path, _, value = text.partition("=")
    if not path or not value:
        msg = f"{text!r} does not set a hyper; write PATH=VALUE, such as n=5"
        raise ConfigError(msg)
    try:
        return path, json.loads(value)
    except (ValueError, RecursionError):
        return path, value


def _refuse_idle(wanted: Wanted, presets: Sequence[str]) -> None:
    if not presets and wanted.artifact is None:
        msg = "there is nothing to measure: give an artifact, or --preset, or both"
        raise ConfigError(msg)
    if not presets and (wanted.settings or wanted.variations):
        msg = "--set and --vary change presets, and an artifact is measured as it is; add --preset"
        raise ConfigError(msg)
    if wanted.equal_tokens and wanted.artifact is None and set(presets) == {BASELINES[0]}:
        msg = "--equal-tokens gives direct the tokens of another program; name one with --preset"
        raise ConfigError(msg)


def _preset(preset: str, settings: Settings, sandbox: Sandbox) -> SpecToCode:
    program = make_program(preset, sandbox)
    set_hypers(program, {path: value for path, value in settings.items() if path != DEMOS})
    demo_set(settings.get(DEMOS, NONE.name)).apply(program)
    return program


def _named(preset: str, settings: Settings) -> str:
    return ", ".join([preset, *setting_words(settings)])


def setting_words(settings: Settings) -> list[str]:
    """Return each setting as it is written on the command line."""
    return [
        f"{path}={value if isinstance(value, str) else json.dumps(value)}"
        for path, value in settings.items()
    ]


def _vary(
    presets: Sequence[str],
    settings: Settings,
    variations: Sequence[tuple[str, Any]],
    sandbox: Sandbox,
) -> dict[str, tuple[str, SpecToCode]]:
    """Return, by name, each program with one change and the name of the one without it.

    Raises:
        ConfigError: A change is what every preset has already, or is no value of a hyper.
    """
    varied: dict[str, tuple[str, SpecToCode]] = {}
    for path, value in variations:
        changed = {**settings, path: value}
        made = {p: _preset(p, changed, sandbox) for p in presets}
        new = {p: q for p, q in made.items() if _state(q) != _state(_preset(p, settings, sandbox))}
        if not new:
            msg = (
                f"--vary {setting_words({path: value})[0]} changes nothing in {', '.join(presets)}"
            )
            raise ConfigError(msg)
        varied |= {_named(p, changed): (_named(p, settings), q) for p, q in new.items()}
    return varied


def _state(program: SpecToCode) -> str:
    return digest(program.dump_state())


def _pairs(compared: Sequence[str], baselines: Sequence[str]) -> list[tuple[str, str]]:
    """Return every program with every baseline, and later baselines with earlier ones."""
    rest = [name for name in compared if name not in baselines]
    return [
        (baseline, name)
        for name in (*baselines, *rest)
        for baseline in (baselines if name in rest else baselines[: baselines.index(name)])
    ]
