"""When a hyper makes a difference: with which values of others nothing depends on it.

Owns what is known of it, so that a search does not ask for what cannot matter. It need not be
complete: a condition that is missing costs trials, a wrong one hides programs. A stage's name in
the place of a hyper's path stands for the stage itself: whether it is asked at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from programs.hypers import Value

Idle = Mapping[str, tuple[Value, ...]]
"""Values of other hypers, by path; with any one of them something makes no difference."""

NO_IR: Idle = {"ir_detail": ("none",)}
NO_ROUNDS: Idle = {"refine_iterations": (0,)}

IDLE: Mapping[str, Idle] = {
    "reasoner": {**NO_IR, "reason": (False,)},
    "ir_generator": NO_IR,
    "critic": {**NO_IR, **NO_ROUNDS, "critique": ("execution",), "repair": ("code",)},
    "refiner": {**NO_IR, **NO_ROUNDS, "repair": ("code",)},
    "repairer": {**NO_ROUNDS, "critique": ("model",), "repair": ("ir",)},
    "ir_from": NO_IR,
    "ir_wire": NO_IR,
    "assertions": NO_IR,
    "reason": NO_IR,
    "code_sees": NO_IR,
    "critique": NO_ROUNDS,
    "repair": NO_ROUNDS,
    "n": {"temperature": (0.0,)},
    "greedy_first": {"temperature": (0.0,)},
    "select": {"n": (1,)},
    "stop_at": {
        "n": (1,),
        "weights": ("equal",),
        "select": ("first", "quality", "agreement"),
    },
}
"""What makes stages and hypers of the program idle; those that are not here never are."""


def idle_with(path: str, searched: Collection[str]) -> dict[str, tuple[Value, ...]]:
    """Return the values of other hypers with which a hyper or a stage makes no difference.

    Args:
        path: Of the hyper, or the name of a stage.
        searched: Paths of the hypers whose values may differ from the program's own.
    """
    if path == "n" and not _all_alike(searched):
        return {}
    stage, _, own = path.rpartition(".")
    found = dict(IDLE.get(stage or path, {}))
    if own in {"top_p", "seed"} and stage:
        temperature = f"{stage}.temperature"
        found[temperature if temperature in searched else "temperature"] = (0.0,)
    if own in {"demo_choice", "demo_tokens"}:
        found[f"{stage}.demo_count"] = (0,)
    return found


def _all_alike(searched: Collection[str]) -> bool:
    """Tell whether all candidates are sure to be alike where the program does not sample.

    They are not if a stage samples by itself, or if only some of the candidates have an IR.
    """
    return not any(path == "ir_from" or path.endswith(".temperature") for path in searched)
