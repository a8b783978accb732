"""A compiled program as a state file that DSPy loads by itself.

Owns what such a file holds and what it says of what it cannot hold: instructions and demos are
DSPy's own, while hypers, the layout of prompts and all that executes code are not.
"""

from __future__ import annotations

import json
import types
from typing import Any, Literal, get_args, get_origin

import dspy
from dspy.signatures.signature import Signature
from dspy.utils.saving import get_dependency_versions

from lift_sys.app.export import Artifact
from lift_sys.errors import ConfigError
from programs.ensemble import Ensemble, Program
from programs.stages import Stage

LOST = (
    "Hypers: how many candidates are drawn, at which temperature, how one is chosen, which quirks "
    "are told, in which form an IR is written. DSPy asks each predictor as your module does.",
    "The layout of prompts and the JSON schema of answers: DSPy's adapter writes its own.",
    "The execution of assertions, the repair of code, and the choice of demos for each spec: each "
    "predictor has the demos that a request shows where none are chosen.",
    "Models, scores and where they come from: these are in the artifact.",
)
"""What DSPy alone cannot know of a program."""


def plain_state(artifact: Artifact, program: Program) -> str:
    """Return the JSON that ``dspy.Module.load`` reads, without classes of lift-sys.

    A module that loads it has the predictors named in ``metadata.lift_sys.signatures``, each a
    ``dspy.Predict`` of that signature.

    Args:
        artifact: Of the program.
        program: Built from it; it is not changed.

    Raises:
        ConfigError: It is an ensemble, whose members DSPy alone cannot choose among.
    """
    if isinstance(program, Ensemble):
        msg = (
            "an ensemble chooses among its members by what their code does, which DSPy alone cannot"
            " do; export its prompts, or the artifact itself"
        )
        raise ConfigError(msg)
    plain, signatures = dspy.Module(), {}
    for name, stage in program.deepcopy().named_sub_modules(Stage):
        predictor = dspy.Predict(stage.predict.signature)
        stage.demo_choice.set("fixed")
        predictor.demos = stage.demos_for("")
        path = name.removeprefix("self.")
        setattr(plain, path, predictor)
        signatures[path] = _signature(stage.predict.signature)
    told = {
        "artifact_sha256": artifact.sha256,
        "signatures": signatures,
        "lost": LOST,
        "hypers": artifact.hypers,
    }
    metadata = {"dependency_versions": get_dependency_versions(), "lift_sys": told}
    state = {**plain.dump_state(), "metadata": metadata}
    return json.dumps(state, ensure_ascii=False, indent=2) + "\n"


def _signature(signature: type[Signature]) -> str:
    """Return a signature as DSPy's string, with types that DSPy knows."""
    sides = (signature.input_fields, signature.output_fields)
    named = (", ".join(f"{k}: {_type(f.annotation)}" for k, f in side.items()) for side in sides)
    return " -> ".join(named)


def _type(annotation: Any) -> str:
    """Return the name of a type; of one that is not Python's own, what it is made of."""
    if isinstance(annotation, types.UnionType):
        return " | ".join(_type(part) for part in get_args(annotation))
    origin = get_origin(annotation)
    if origin is Literal:
        return type(get_args(annotation)[0]).__name__
    if origin is list:
        return f"list[{_type(get_args(annotation)[0])}]"
    if annotation is types.NoneType:
        return "None"
    builtin = getattr(annotation, "__module__", "") == "builtins"
    return str(annotation.__name__) if builtin else "dict"
