"""How many answers of each stage one spec costs, known from the hypers alone.

Owns the count, for whoever estimates a job before anything is spent. Nothing is asked or executed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lift_sys.tasks import TaskView
from programs.refinement import Plan
from programs.select import RULES
from programs.spec_to_code import SpecToCode
from programs.stages import PROGRAM, Stage
from programs.writing import Writing

SPEC = TaskView(spec="Any spec.", entry_point="any", visible=())


@dataclass(frozen=True)
class Expense:
    """The answers of one stage that one spec costs.

    Attributes:
        stage: As calls are labelled.
        model: Id of the model that the stage names; ``None`` for the program's.
        fewest: Where the first candidate is good enough and nothing is rewritten.
        most: Where every candidate is drawn and every round of refinement rewrites.
    """

    stage: str
    model: str | None
    fewest: int
    most: int


def expenses(program: SpecToCode) -> list[Expense]:
    """Return what one spec costs, stage by stage; stages that are never asked are left out.

    An answer that cannot be used ends its candidate, which may cost less than ``fewest``, or lead
    to another candidate.
    """
    writing = Writing(program, SPEC, rollout=0)
    rule = RULES[str(program.select.value)]
    n = program.most_candidates(writing, rule)
    shared = not writing.sample(writing.stages(code=False))
    irs = [writing.has_ir(index) for index in range(n)]
    # A rule that reads no code has nothing on which it could stop early.
    drawn = irs[:1] if rule.needs_code else irs
    fewest = Counter(_ir_calls(program, _written(drawn, shared=shared), least=True))
    most = Counter(_ir_calls(program, _written(irs, shared=shared), least=False))
    coded = irs if rule.needs_code else [any(irs)]
    fewest[program.code_generator] += 1
    for has_ir in coded:
        most.update(_code_calls(program, has_ir=has_ir))
    return [
        Expense(stage.name, _model(stage), fewest[stage], most[stage])
        for stage in most
        if most[stage]
    ]


def _written(irs: list[bool], *, shared: bool) -> int:
    """Return how many IRs are written for candidates, of which some have one."""
    return min(sum(irs), 1) if shared else sum(irs)


def _plan(program: SpecToCode) -> Plan:
    return Plan(
        critique=str(program.critique.value),
        repair=str(program.repair.value),
        rounds=int(program.refine_iterations.value),
    )


def _ir_calls(program: SpecToCode, irs: int, *, least: bool) -> dict[Stage, int]:
    rounds = _plan(program).before_code
    return {
        program.reasoner: irs * bool(program.reason.value),
        program.ir_generator: irs,
        program.critic: irs * (min(rounds, 1) if least else rounds),
        program.refiner: 0 if least else irs * rounds,
    }


def _code_calls(program: SpecToCode, *, has_ir: bool) -> dict[Stage, int]:
    """Return the most calls that a candidate's code takes; a round rewrites the IR or the code."""
    plan = _plan(program)
    irs = plan.after_code if has_ir and plan.repair != "code" else 0
    anew = irs if program.code_sees.value != "spec" else 0
    return {
        program.code_generator: 1 + anew,
        program.refiner: irs,
        program.repairer: plan.after_code if plan.repair != "ir" else 0,
    }


def _model(stage: Stage) -> str | None:
    named = str(stage.model.value)
    return None if named == PROGRAM else named
