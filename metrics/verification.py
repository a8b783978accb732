"""Is a task true? Decided by running its reference.

Owns the checks of one task by execution (its values can be carried, the reference passes every
case, every gold assertion holds on it, the hidden cases notice its mutants) and the search for
tasks that behave the same.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from lift_sys.ir.lint import Kind, lint_ir
from lift_sys.ir.models import SpecIR
from lift_sys.literals import parse_literal
from lift_sys.record import Record
from lift_sys.sandbox import Call, Limits, Sandbox, Submission, judge
from lift_sys.sandbox.codec import DecodeError, decode
from lift_sys.sandbox.compare import canonical
from lift_sys.sandbox.tagged import NotEncodableError, encode
from lift_sys.tasks import Case, Task
from lift_sys.verdict import Status
from metrics.execution import score_code
from metrics.mutants import Mutant, make_mutants

KILL_RATE = 0.9
"""Least share of a reference's non-equivalent mutants that hidden cases must notice."""

SHORT = Limits(call_seconds=0.5, total_seconds=1.0)
"""For a mutant, which has been noticed if it runs that much longer than the reference's few
milliseconds, and for a reference on another one's inputs."""

PROBES = 40
"""Shared inputs on which references are compared before their cases are."""


class TaskCheck(Record):
    """What running one task's reference showed.

    Attributes:
        task_id: Of the task.
        problems: What is wrong, each in one sentence.
        mutants: Non-equivalent mutants of the reference.
        survivors: Those that no hidden case noticed, by description.
    """

    task_id: str
    problems: tuple[str, ...]
    mutants: int = 0
    survivors: tuple[str, ...] = ()

    @property
    def killed(self) -> int:
        """Mutants that a hidden case noticed."""
        return self.mutants - len(self.survivors)

    @property
    def decisive(self) -> bool:
        """Whether the hidden cases notice at least the share of mutants that they must."""
        return not self.mutants or self.killed / self.mutants >= KILL_RATE


def check_task(task: Task, sandbox: Sandbox, equivalent: Mapping[str, str]) -> TaskCheck:
    """Check one task by execution.

    Args:
        task: Without a reference there is nothing to run: only its values are checked.
        sandbox: Where references and mutants run.
        equivalent: Mutants that no input can tell from the reference, by description, with the
            reason.

    Raises:
        SandboxError: The sandbox failed; the task was not checked.
    """
    problems = _value_problems(task)
    if task.reference_code is None:
        return TaskCheck(task_id=task.id, problems=tuple(problems))
    problems += _reference_problems(task, task.reference_code, sandbox)
    if problems:  # its mutants would show nothing
        return TaskCheck(task_id=task.id, problems=tuple(problems))
    if task.gold_ir is not None:
        problems += _gold_problems(task, task.gold_ir, task.reference_code, sandbox)
    mutants = make_mutants(task.reference_code)
    known = {mutant.description for mutant in mutants}
    unknown = sorted(equivalent.keys() - known)
    problems += [f"there is no mutant {name!r} to be equivalent" for name in unknown]
    alive = [m.description for m in mutants if _survives(m, task, sandbox)]
    wrong = sorted(equivalent.keys() & (known - set(alive)))
    problems += [f"a hidden case notices {name!r}, listed as equivalent" for name in wrong]
    return TaskCheck(
        task_id=task.id,
        problems=tuple(problems),
        mutants=len(known - equivalent.keys()),
        survivors=tuple(name for name in alive if name not in equivalent),
    )


def _survives(mutant: Mutant, task: Task, sandbox: Sandbox) -> bool:
    return score_code(task, mutant.code, None, sandbox, SHORT).passed


def _value_problems(task: Task) -> list[str]:
    """Return the cases with a value that cannot come back from the sandbox."""
    problems = []
    for case in (*task.visible, *task.hidden):
        for text in (case.expected, case.args_after):
            try:
                decode(encode(parse_literal(text or "None")))
            except (NotEncodableError, DecodeError) as error:
                problems.append(f"no answer can carry {text!r:.60}: {error}")
    return problems


def _reference_problems(task: Task, code: str, sandbox: Sandbox) -> list[str]:
    cases = (*task.visible, *task.hidden)
    verdict = judge(sandbox, code, task.entry_point, cases)
    if verdict.status in {Status.SYNTAX_ERROR, Status.NO_ENTRY_POINT}:
        return [f"the reference cannot run: {verdict.message}"]
    problems = [
        f"the reference fails {case.render(task.entry_point)}: {result.message or result.status}"
        for case, result in zip(cases, verdict.cases, strict=True)
        if result.status is not Status.PASSED
    ]
    if not problems and task.weak_tests is not None:
        score = score_code(task, code, None, sandbox)
        problems += [] if score.passed else [f"the reference fails: {score.feedback}"]
    return problems


def _gold_problems(task: Task, gold: SpecIR, code: str, sandbox: Sandbox) -> list[str]:
    findings = [finding for _, finding in lint_ir(gold)]
    problems = [
        f"the gold assertion {f.predicate!r} cannot be executed: {f.reason}"
        for f in findings
        if f.kind is Kind.INFORMAL
    ]
    if gold.signature.name != task.entry_point:
        problems.append(f"the gold IR names the function {gold.signature.name!r}")
    examples = [
        Case(args=f.args or "()", expected=f.expected) for f in findings if f.kind is Kind.EXAMPLE
    ]
    if examples:
        verdict = judge(sandbox, code, task.entry_point, examples)
        problems += [
            f"the gold assertion {case.render(task.entry_point)} is false: {result.message}"
            for case, result in zip(examples, verdict.cases, strict=True)
            if result.status is not Status.PASSED
        ]
    properties = tuple(f.predicate for f in findings if f.kind is Kind.PROPERTY)
    return problems + _false_properties(task, gold, code, properties, sandbox)


def _false_properties(
    task: Task, gold: SpecIR, code: str, properties: tuple[str, ...], sandbox: Sandbox
) -> list[str]:
    returning = [case for case in (*task.visible, *task.hidden) if case.raises is None]
    if not properties or not returning:
        return []
    submission = Submission(
        code=code,
        entry_point=task.entry_point,
        calls=tuple(Call(args=case.args, predicates=properties) for case in returning),
        parameters=tuple(p.name for p in gold.signature.parameters),
    )
    outcomes = sandbox.execute(submission).outcomes
    return [
        f"the gold assertion {predicate!r} does not hold for {case.render(task.entry_point)}"
        for case, outcome in zip(returning, outcomes, strict=True)
        for predicate, held in zip(properties, outcome.predicates, strict=True)
        if not held
    ]


# --- tasks that behave the same -----------------------------------------------------------------


def same_behaviour(tasks: Sequence[Task], sandbox: Sandbox) -> list[tuple[str, str]]:
    """Return the pairs of ids whose references cannot be told apart.

    References that take arguments of the same types are run on shared inputs, drawn from the cases
    of all of them; those that agree on every one must also pass each other's cases.

    Raises:
        SandboxError: The sandbox failed.
    """
    alike: dict[tuple[object, ...], list[Task]] = defaultdict(list)
    for shape, group in _by_shape(tasks).items():
        probes = _probes(shape, group)
        for task in group:
            alike[shape, *_outcomes(task, probes, sandbox)].append(task)
    pairs = {(a.id, b.id): (a, b) for group in alike.values() for a, b in combinations(group, 2)}
    return [
        ids for ids, (a, b) in pairs.items() if _passes(a, b, sandbox) and _passes(b, a, sandbox)
    ]


def _by_shape(tasks: Sequence[Task]) -> dict[tuple[str, ...], list[Task]]:
    groups: dict[tuple[str, ...], list[Task]] = defaultdict(list)
    for task in tasks:
        if task.reference_code is not None:
            for shape in sorted({_shape(case) for case in (*task.visible, *task.hidden)}):
                groups[shape].append(task)
    return groups


def _shape(case: Case) -> tuple[str, ...]:
    return tuple(type(argument).__name__ for argument in parse_literal(case.args))


def _probes(shape: tuple[str, ...], group: Sequence[Task]) -> list[Call]:
    texts = sorted(
        {c.args for task in group for c in (*task.visible, *task.hidden) if _shape(c) == shape}
    )
    chosen = random.Random(str(shape)).sample(texts, min(PROBES, len(texts)))  # noqa: S311 (not a secret)
    return [Call(args=text) for text in chosen]


def _outcomes(task: Task, probes: Sequence[Call], sandbox: Sandbox) -> tuple[str, ...]:
    submission = Submission(
        code=task.reference_code or "", entry_point=task.entry_point, calls=tuple(probes)
    )
    outcomes = sandbox.execute(submission, SHORT).outcomes
    return tuple(canonical(o.value) if o.exception is None else o.exception for o in outcomes)


def _passes(solver: Task, judged: Task, sandbox: Sandbox) -> bool:
    cases = (*judged.visible, *judged.hidden)
    return judge(sandbox, solver.reference_code or "", solver.entry_point, cases).passed
