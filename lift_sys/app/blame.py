"""Whose fault are a program's failures: the second run that this takes, and the table.

Owns the run with gold IRs: the failed tasks again, with the gold IR in place of the IR stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lift_sys.app.jobs import Chosen
from lift_sys.app.measure import TaskSet
from lift_sys.app.models import model_source
from lift_sys.app.run import make_evaluator
from lift_sys.app.store import RunDirectory
from lift_sys.errors import ConfigError
from lift_sys.files import file_name
from lift_sys.record import Record
from lift_sys.sandbox.base import Sandbox
from lift_sys.tasks import Task
from metrics.attribution import Attribution, Blame, Facts, attribute, rates
from metrics.stats import Rate
from optimizers.rows import Row
from programs.ensemble import members_of
from programs.given import GivenIR

GOLD = "{name} from gold IR"
"""What a program is called that gets the gold IR."""

_FACTS = {
    "ir_true": "nothing that the IR asserts on its own is false",
    "code_obeys": "the code keeps what its IR truly asserts",
    "gold_heals": "code from the gold IR passes",
}


class BlameReport(Record):
    """Whose fault the failures of one program are.

    Attributes:
        program: Its name.
        data: Of the task set.
        passed: Of all tasks.
        attributions: One for each failed task, in order.
    """

    program: str
    data: str
    passed: Rate
    attributions: tuple[Attribution, ...]


def blame(
    chosen: Chosen,
    data: TaskSet,
    sandbox: Sandbox,
    runs: Path,
    on_row: Callable[[Row, bool], None] | None = None,
) -> BlameReport:
    """Run a program over a task set, its failures again from the gold IR, and attribute them.

    Executed tasks are kept and shared with ``lift eval``: after it, only the second run is new.

    Raises:
        ConfigError: The program makes no IR, or the set holds test tasks.
        LiftError: A data, model, disk, backend or sandbox failure.
    """
    refuse_pointless(chosen, data)
    run = RunDirectory(runs / f"eval-{file_name(chosen.model)}-{data.sha256[:12]}")
    with run.locked():
        models = model_source(run.calls())
        evaluator = make_evaluator(chosen.model, sandbox, run.rows(), models, on_row)
        program = chosen.program.with_models(models)
        rows = list(evaluator.run(program, data.tasks, chosen.name))
        failed = {row.task_id for row in rows if not row.score.passed}
        again = [t for t in data.tasks if t.id in failed and t.gold_ir]
        given = GivenIR(program, {t.spec: t.gold_ir for t in again if t.gold_ir})
        from_gold = list(evaluator.run(given, again, GOLD.format(name=chosen.name)))
    return attribute_rows((chosen.name, data.name), rows, data.tasks, sandbox, from_gold)


def refuse_pointless(chosen: Chosen, data: TaskSet) -> None:
    """Refuse what cannot be attributed, before a model is fetched or loaded.

    Raises:
        ConfigError: The program makes no IR, or the set holds test tasks.
    """
    if all(member.ir_detail.value == "none" for member in members_of(chosen.program)):
        msg = f"{chosen.name!r} makes no IR that could be to blame; choose another program"
        raise ConfigError(msg)
    if data.is_test:
        msg = (
            f"{data.name!r} holds test tasks, and looking into its failures would use them up: "
            "choose train or dev"
        )
        raise ConfigError(msg)


def attribute_rows(
    names: tuple[str, str],
    rows: Sequence[Row],
    tasks: Sequence[Task],
    sandbox: Sandbox,
    from_gold: Sequence[Row] = (),
) -> BlameReport:
    """Attribute the failures among stored rows.

    Args:
        names: Of the program and of the task set.
        rows: Of the program.
        tasks: Those of the rows, at least.
        sandbox: Where code runs.
        from_gold: Rows of the program with the gold IR, as far as there are any.

    Raises:
        SandboxError: The sandbox failed.
    """
    by_id = {task.id: task for task in tasks}
    heals: Mapping[str, bool] = {row.task_id: row.score.passed for row in from_gold}
    attributions = tuple(
        attribute(by_id[row.task_id], row.ir, row.code, sandbox, heals.get(row.task_id))
        for row in rows
        if not row.score.passed
    )
    return BlameReport(
        program=names[0],
        data=names[1],
        passed=Rate.of(len(rows) - len(attributions), len(rows)),
        attributions=attributions,
    )


def markdown(report: BlameReport) -> str:
    """Return the report as Markdown."""
    lines = [f"### {report.program} on {report.data}: passed {report.passed}", ""]
    if not report.attributions:
        return "\n".join([*lines, "Nothing failed."]) + "\n"
    lines += ["| to blame | failures |", "|---|---|"]
    lines += [f"| {blamed} | {rate} |" for blamed, rate in rates(report.attributions).items()]
    lines += ["", "| of the failures where it can be known | |", "|---|---|"]
    facts = [a.facts for a in report.attributions]
    lines += [f"| {text} | {_known(facts, name)} |" for name, text in _FACTS.items()]
    named: dict[Blame, list[str]] = {}
    for attribution in report.attributions:
        named.setdefault(attribution.blame, []).append(attribution.task_id)
    lines += ["", *(f"- {b}: {', '.join(named[b])}" for b in Blame if b in named)]
    return "\n".join(lines) + "\n"


def _known(facts: Sequence[Facts], name: str) -> Rate:
    counts = Counter(getattr(f, name) for f in facts)
    return Rate.of(counts[True], counts[True] + counts[False])
