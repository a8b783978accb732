"""The command that climbs the plan's ladder: what it is called and which options it takes.

Owns the words of ``lift assess``.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from lift_sys.app.cli_options import OpenTest, Runs, Unsafe, prepare_models, sandbox_for

app = typer.Typer()


@app.command()
def assess(
    small: Annotated[
        str, typer.Option(help="Model where the climb begins.")
    ] = "qwen2.5-coder-0.5b",
    large: Annotated[
        str, typer.Option(help="Larger model, the plan's Option A.")
    ] = "qwen2.5-coder-1.5b",
    claude: Annotated[
        str, typer.Option(help="Model that writes the IRs of the rung Claude.")
    ] = "claude",
    tuned: Annotated[str | None, typer.Option(help="Model with fine-tuned weights.")] = None,
    data: Annotated[str, typer.Option(help="A shipped set, e.g. dev, or a task file.")] = "dev",
    limit: Annotated[int | None, typer.Option(min=1, help="Most tasks.")] = None,
    target: Annotated[float, typer.Option(help="Share of tasks that a rung must show.")] = 0.85,
    floor: Annotated[
        float, typer.Option(help="Share below which the plan skips to Claude.")
    ] = 0.78,
    budget: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE: most tokens, usd or seconds of all rungs; repeatable."),
    ] = None,
    volume: Annotated[
        int | None, typer.Option(min=0, help="Expected uses in production a month.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    runs: Runs = Path("runs"),
    open_test: OpenTest = False,
    unsafe: Unsafe = False,
) -> None:
    """Climb the plan's ladder of prompts, models and strategies until one shows the target.

    The same assessment started again continues where it stopped.
    """
    from rich.console import Console

    from lift_sys.app.assessment import Assessing, Site
    from lift_sys.app.assessment_report import Question
    from lift_sys.app.assessment_tables import markdown
    from lift_sys.app.jobs import make_budget
    from lift_sys.app.measure import load_set
    from lift_sys.app.progress import Progress
    from lift_sys.app.rungs import Ladder
    from optimizers.assess import Thresholds

    question = Question(Ladder(small, large, claude, tuned), Thresholds(target, floor), volume)
    limits = make_budget(budget or ())
    with closing(sandbox_for(unsafe=unsafe)) as sandbox:
        tasks = load_set(data, limit, open_test=open_test)
        with Progress(Console(stderr=True), {}) as progress:
            site = Site(sandbox, runs, progress, prepare_models)
            made = Assessing(question, tasks, limits, site).run()
    if as_json:
        sys.stdout.write(made.model_dump_json() + "\n")
    else:
        Console().print(markdown(made), soft_wrap=True, highlight=False, markup=False)
