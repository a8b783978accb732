"""How often a model fills the IR so that it is one, and how quickly.

Usage: ``python benchmarks/valid_ir.py [--model ID] [--tasks 40] [--temperature 0.8]
[--concurrent 16] [--detail basic] [--wire json] [--json FILE]``. Asks the IR stage once for each
spec, the first half of them from dev and the rest from train, in the stage's own prompt and wire
schema. An answer keeps the schema where it ended by itself (``finish_reason`` is ``stop``), parses
and has the schema's fields; it is valid where it also becomes a ``SpecIR``, no two of whose
parameters share a name, which no schema can ask for. Nothing is asked again or repaired.
``./scripts/test-vllm`` runs it on a real vLLM server.
"""

from __future__ import annotations

import argparse
import contextvars
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import dspy  # noqa: E402
from dspy.utils.exceptions import AdapterParseError  # noqa: E402

from lift_sys.app import environment  # noqa: E402
from lift_sys.files import write_atomically  # noqa: E402
from lift_sys.inference import catalogue, usage  # noqa: E402
from lift_sys.inference.lm import build_lm  # noqa: E402
from lift_sys.record import Record  # noqa: E402
from lift_sys.tasks import Task, load_tasks  # noqa: E402
from metrics.stats import Rate  # noqa: E402
from programs.forms import IRForm, ir_form  # noqa: E402
from programs.modules import IRGenerator  # noqa: E402
from programs.requests import spec_with_examples  # noqa: E402
from programs.stages import Sampling, StageFailed  # noqa: E402

Kind = Literal["valid", "not an IR", "schema not kept", "cut off"]


class Outcome(Record):
    """What came of one spec.

    Attributes:
        task: Its id.
        kind: What the answer is.
        why: What is wrong with it, where something is.
        tokens: Generated.
        prompt_tokens: Of the prompt.
        seconds: That the caller waited.
    """

    task: str
    kind: Kind
    why: str = ""
    tokens: int
    prompt_tokens: int
    seconds: float


class ValidIR(Record):
    """The figures of one measurement.

    Attributes:
        model: Id.
        form: The hypers ``ir_detail`` and ``ir_wire``.
        temperature: Of every answer.
        max_tokens: After which an answer is cut off.
        concurrent: Specs asked for at the same time.
        kept: Answers that keep the schema, of all.
        kept_of_ended: The same, of those that were not cut off.
        valid: Answers that are IRs, of all.
        seconds: From the first request to the last answer.
        prompt_tokens: Of all prompts.
        completion_tokens: Generated.
        outcomes: One a spec.
    """

    model: str
    form: str
    temperature: float
    max_tokens: int
    concurrent: int
    kept: Rate
    kept_of_ended: Rate
    valid: Rate
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    outcomes: tuple[Outcome, ...]

    def lines(self) -> list[str]:
        """Return the figures in words, as Markdown."""
        speed = self.completion_tokens / self.seconds
        waits = sorted(row.seconds for row in self.outcomes)
        wrong = Counter(row.kind for row in self.outcomes if row.kind != "valid")
        return [
            f"- asked for an IR ({self.form}) at temperature {self.temperature},"
            f" at most {self.max_tokens} tokens, {self.concurrent} concurrent",
            f"- answers that keep the schema: {self.kept}; of those that were not cut off,"
            f" {self.kept_of_ended}",
            f"- valid IRs: {self.valid}",
            *(f"- {kind}: {count}" for kind, count in wrong.most_common()),
            f"- {self.completion_tokens:,} tokens generated in {self.seconds:.1f} s:"
            f" {speed:.1f} tokens/s; {self.prompt_tokens:,} prompt tokens",
            f"- seconds an answer: median {statistics.median(waits):.1f}, longest {waits[-1]:.1f}",
        ]


def specs(count: int) -> list[Task]:
    """Return this many tasks, half of them from dev."""
    sets = [load_tasks(environment.data_file(name)) for name in ("dev", "train")]
    first = sets[0][: (count + 1) // 2]
    return list(islice(chain(first, sets[1]), count))


def ask(writer: IRGenerator, form: IRForm, task: Task, sampling: Sampling) -> Outcome:
    """Ask for the IR of one task.

    Raises:
        ProviderError: The backend failed; that says nothing of its answers.
    """
    kind: Kind = "valid"
    why = ""
    with usage.recording() as calls:
        try:
            writer(task.entry_point, spec_with_examples(task.view), None, sampling, form)
        except StageFailed as failed:
            kind, why = _kind_of(failed), str(failed)
    (call,) = calls
    return Outcome(
        task=task.id,
        kind=kind,
        why=why,
        tokens=call.completion_tokens,
        prompt_tokens=call.prompt_tokens,
        seconds=call.seconds,
    )


def _kind_of(failed: StageFailed) -> Kind:
    if failed.__cause__ is None:
        return "cut off"
    return "schema not kept" if isinstance(failed.__cause__, AdapterParseError) else "not an IR"


def measure(lm: dspy.LM, tasks: Sequence[Task], asked: argparse.Namespace) -> ValidIR:
    """Ask for the IR of every task and count; raises as ``ask`` does."""
    writer, form = IRGenerator(), ir_form(asked.detail, asked.wire)
    writer.max_tokens.set(max(IRGenerator.token_limits))
    drawn = [Sampling(temperature=asked.temperature, seed=seed) for seed in range(len(tasks))]
    began = time.perf_counter()
    with ThreadPoolExecutor(asked.concurrent) as pool, dspy.context(lm=lm):
        waiting = [
            pool.submit(contextvars.copy_context().run, ask, writer, form, task, sampling)
            for task, sampling in zip(tasks, drawn, strict=True)
        ]
        outcomes = tuple(future.result() for future in waiting)
    counts = Counter(row.kind for row in outcomes)
    kept, ended = counts["valid"] + counts["not an IR"], len(outcomes) - counts["cut off"]
    return ValidIR(
        model=asked.model,
        form=f"{asked.detail}, {asked.wire}",
        temperature=asked.temperature,
        max_tokens=int(writer.max_tokens.value),
        concurrent=asked.concurrent,
        kept=Rate.of(kept, len(outcomes)),
        kept_of_ended=Rate.of(kept, ended),
        valid=Rate.of(counts["valid"], len(outcomes)),
        seconds=time.perf_counter() - began,
        prompt_tokens=sum(row.prompt_tokens for row in outcomes),
        completion_tokens=sum(row.tokens for row in outcomes),
        outcomes=outcomes,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="id of the catalogue")
    parser.add_argument("--tasks", type=int, default=40, help="specs, at most 160")
    parser.add_argument("--detail", choices=("basic", "structured", "checks"), default="basic")
    parser.add_argument("--wire", choices=("json", "compact"), default="json")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--json", type=Path, help="file for the figures and every outcome")
    asked = parser.parse_args()
    environment.prepare()
    keys = environment.keys_of([catalogue.get(asked.model)])
    measured = measure(
        build_lm(asked.model, environment.models_dir(), keys=keys),
        specs(asked.tasks),
        asked,
    )
    print("\n".join(measured.lines()))
    if asked.json:
        write_atomically(asked.json, measured.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
