"""Whom to blame for a failed task (the plan's Risk 4): the IR, the code, both, or the spec.

Owns the decision and the facts that it rests on. Each fact comes from execution and is yes, no, or
unknown where the task lacks what it takes:

- *IR true*: every derived assertion of the generated IR that runs holds on the reference, and none
  of its examples contradicts an example of the gold IR. No, too, where the IR stage gave no IR.
- *code obeys*: the failing code keeps those assertions of its IR that are true: the ones that the
  reference keeps; without a reference, the stated ones. No, too, where the code stage gave no code.
- *gold heals*: code written from the gold IR passes. The caller runs the program and tells.

The IR is at fault if it says something false, or if the gold IR in its place heals the task. The
code is at fault if it breaks something true that it was told, or if the gold IR does not heal it.
Where neither the IR's truth nor the run with the gold IR is known, nothing is: code that breaks a
stated example may have been misled by an IR that asserts nothing of its own.

| IR true | code obeys | gold heals | gold does not heal | not known |
|---|---|---|---|---|
| no | yes | IR wrong | both | IR wrong |
| no | no | both | both | both |
| no | unknown | IR wrong | both | IR wrong |
| yes | yes | IR wrong | code wrong | unknown |
| yes | no | both | code wrong | code wrong |
| yes | unknown | IR wrong | code wrong | unknown |
| unknown | yes | IR wrong | code wrong | unknown |
| unknown | no | both | code wrong | unknown |
| unknown | unknown | IR wrong | code wrong | unknown |

One case is taken out of this table: the IR is false, the gold IR does not heal, and yet the code
keeps every assertion of its own IR and of the gold IR, false ones included. Then two readings fit
all that is explicit: *spec ambiguous*.

What execution cannot see: the words of an IR may be vague or wrong where its assertions are true.
Where the gold IR heals, that is found out; without a gold IR, *code wrong* does not acquit the
words. One greedy run with the gold IR is one draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from lift_sys.ir.lint import Kind, lint_ir
from lift_sys.ir.models import SpecIR
from lift_sys.literals import parse_literal
from lift_sys.record import Record
from lift_sys.sandbox.assertions import Held, held_assertions
from lift_sys.sandbox.base import Sandbox
from lift_sys.sandbox.compare import equal
from lift_sys.tasks import Task
from metrics.stats.rates import Rate


class Blame(StrEnum):
    """Whose fault a failure is."""

    IR = "IR wrong"
    CODE = "code wrong"
    BOTH = "both"
    SPEC = "spec ambiguous"
    UNKNOWN = "unknown"


class Facts(Record):
    """What execution shows of a failed task; ``None`` where it cannot be known.

    Attributes:
        ir_true: Whether nothing that the IR asserts on its own is false.
        code_obeys: Whether the code keeps what its IR truly asserts.
        gold_heals: Whether code from the gold IR passes.
        other_reading: Whether the code keeps all that its IR and the gold IR assert.
    """

    ir_true: bool | None = None
    code_obeys: bool | None = None
    gold_heals: bool | None = None
    other_reading: bool = False


class Attribution(Record):
    """Whose fault the failure of one task is, and why."""

    task_id: str
    blame: Blame
    facts: Facts


def attribute(
    task: Task,
    ir: SpecIR | None,
    code: str | None,
    sandbox: Sandbox,
    gold_heals: bool | None = None,
) -> Attribution:
    """Decide whose fault a failed answer is.

    Args:
        task: With its reference and gold IR, where it has them.
        ir: The generated IR; ``None`` where the IR stage gave none.
        code: The code that failed; ``None`` where there is none.
        sandbox: Where code runs.
        gold_heals: Whether code that the same program wrote from the gold IR passes.

    Raises:
        SandboxError: The sandbox failed.
    """
    facts = observe(task, ir, code, sandbox).model_copy(update={"gold_heals": gold_heals})
    return Attribution(task_id=task.id, blame=decide(facts), facts=facts)


def decide(facts: Facts) -> Blame:
    """Return the decision of the table in this module's docstring."""
    if facts.ir_true is None and facts.gold_heals is None:
        return Blame.UNKNOWN
    ir_wrong = facts.ir_true is False or facts.gold_heals is True
    code_wrong = facts.code_obeys is False or facts.gold_heals is False
    if facts.ir_true is False and facts.gold_heals is False and facts.other_reading:
        return Blame.SPEC
    if ir_wrong and code_wrong:
        return Blame.BOTH
    if ir_wrong:
        return Blame.IR
    return Blame.CODE if code_wrong else Blame.UNKNOWN


def observe(task: Task, ir: SpecIR | None, code: str | None, sandbox: Sandbox) -> Facts:
    """Execute what there is; whether the gold IR heals is left unknown.

    Raises:
        SandboxError: The sandbox failed.
    """
    if ir is None:
        return Facts(ir_true=False if code is None else None)
    on_reference = _run(task, ir, task.reference_code, sandbox)
    on_code = _run(task, ir, code, sandbox)
    gold_on_code = _run(task, task.gold_ir, code, sandbox) if task.gold_ir else []
    return Facts(
        ir_true=_ir_true(task, ir, on_reference),
        code_obeys=False if code is None else _obeys(task, on_reference, on_code),
        other_reading=bool(gold_on_code) and all(h.ok for h in (*on_code, *gold_on_code)),
    )


def rates(attributions: Iterable[Attribution]) -> dict[Blame, Rate]:
    """Return how often each one is to blame, among all the failures given."""
    found = [a.blame for a in attributions]
    return {blame: Rate.of(found.count(blame), len(found)) for blame in Blame}


def _run(task: Task, ir: SpecIR | None, code: str | None, sandbox: Sandbox) -> list[Held]:
    if code is None:
        return []
    return held_assertions(code, task.entry_point, ir, task.visible, sandbox)


def _ir_true(task: Task, ir: SpecIR, on_reference: Sequence[Held]) -> bool | None:
    own = [h.ok for h in on_reference if h.provenance == "derived"]
    if not all(own) or (task.gold_ir and _contradict(ir, task.gold_ir)):
        return False
    return True if own else None


def _obeys(task: Task, on_reference: Sequence[Held], on_code: Sequence[Held]) -> bool | None:
    if task.reference_code is None:
        true = {h.predicate for h in on_code if h.provenance == "stated"}
    else:
        true = {h.predicate for h in on_reference if h.ok}
    kept = [h.ok for h in on_code if h.predicate in true]
    return all(kept) if kept else None


def _contradict(ir: SpecIR, gold: SpecIR) -> bool:
    """Tell whether two IRs give different values for the same call."""
    ours, theirs = _examples(ir), _examples(gold)
    return any(
        not equal(value, theirs[call], tolerance=0.0)
        for call, value in ours.items()
        if call in theirs
    )


def _examples(ir: SpecIR) -> dict[str, Any]:
    return {
        repr(parse_literal(f.args or "()")): parse_literal(f.expected or "None")
        for _, f in lint_ir(ir)
        if f.kind is Kind.EXAMPLE
    }
