"""How often a model fills the IR so that it is one, and how quickly.

Usage: ``python benchmarks/valid_ir.py [--model ID] [--tasks 40] [--temperature 0.8]
[--concurrent 16] [--json FILE]``. Asks the IR stage once for each spec, the first half of them from
dev and the rest from train, in the stage's own prompt and wire schema. An answer is valid where it
ended by itself (``finish_reason`` is ``stop``), parses, keeps the schema and is an IR. Nothing is
asked again and nothing is repaired. ``./scripts/test-vllm`` runs it on a real vLLM server.
"""

from __future__ import annotations

import argparse
import contextvars
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import dspy  # noqa: E402

from lift_sys.app import environment  # noqa: E402
from lift_sys.files import write_atomically  # noqa: E402
from lift_sys.inference import catalogue, usage  # noqa: E402
from lift_sys.inference.lm import build_lm  # noqa: E402
from lift_sys.record import Record  # noqa: E402
from lift_sys.tasks import Task, load_tasks  # noqa: E402
from metrics.stats import Rate  # noqa: E402
from programs.forms import ir_form  # noqa: E402
from programs.modules import IRGenerator  # noqa: E402
from programs.requests import spec_with_examples  # noqa: E402
from programs.stages import Sampling, StageFailed  # noqa: E402

VALID = "valid"


class Outcome(Record):
    """What came of one spec.

    Attributes:
        task: Its id.
        outcome: ``valid``, or why the answer is no IR.
        tokens: Generated.
        seconds: That the caller waited.
    """

    task: str
    outcome: str
    tokens: int
    seconds: float


class ValidIR(Record):
    """The figures of one measurement.

    Attributes:
        model: Id.
        detail: The hyper ``ir_detail``.
        temperature: Of every answer.
        max_tokens: After which an answer is cut off.
        concurrent: Specs asked for at the same time.
        valid: Answers that are IRs, of all.
        seconds: From the first request to the last answer.
        prompt_tokens: Of all prompts.
        completion_tokens: Generated.
        outcomes: One a spec.
    """

    model: str
    detail: str
    temperature: float
    max_tokens: int
    concurrent: int
    valid: Rate
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    outcomes: tuple[Outcome, ...]

    def lines(self) -> list[str]:
        """Return the figures in words, as Markdown."""
        speed = self.completion_tokens / self.seconds
        other = Counter(row.outcome for row in self.outcomes if row.outcome != VALID)
        waits = sorted(row.seconds for row in self.outcomes)
        return [
            f"- valid IRs ({self.detail}): {self.valid}, at temperature {self.temperature},"
            f" at most {self.max_tokens} tokens, {self.concurrent} concurrent",
            f"- {self.completion_tokens:,} tokens generated in {self.seconds:.1f} s:"
            f" {speed:.1f} tokens/s; {self.prompt_tokens:,} prompt tokens",
            f"- seconds an answer: median {waits[len(waits) // 2]:.1f}, longest {waits[-1]:.1f}",
            *(f"- not valid, {count}: {why}" for why, count in other.most_common()),
        ]


def specs(count: int) -> list[Task]:
    """Return this many tasks, half of them from dev."""
    sets = [load_tasks(environment.data_file(name)) for name in ("dev", "train")]
    first = sets[0][: (count + 1) // 2]
    return list(islice(chain(first, sets[1]), count))


def measure(
    lm: dspy.LM,
    tasks: Sequence[Task],
    *,
    detail: str = "basic",
    temperature: float = 0.8,
    concurrent: int = 16,
) -> ValidIR:
    """Ask for the IR of every task and count.

    Raises:
        ProviderError: The backend failed; that says nothing of its answers.
    """
    writer, form = IRGenerator(), ir_form(detail, "json")
    writer.max_tokens.set(max(IRGenerator.token_limits))

    def ask(number: int, task: Task) -> tuple[Outcome, usage.Usage]:
        with dspy.context(lm=lm), usage.recording() as calls:
            outcome = VALID
            sampling = Sampling(temperature=temperature, seed=number)
            try:
                writer(task.entry_point, spec_with_examples(task.view), None, sampling, form)
            except StageFailed as failed:
                outcome = str(failed)
        spent = usage.Usage.of(calls)
        row = Outcome(
            task=task.id, outcome=outcome, tokens=spent.completion_tokens, seconds=spent.seconds
        )
        return row, spent

    began = time.perf_counter()
    with ThreadPoolExecutor(concurrent) as pool:
        asked = [
            pool.submit(contextvars.copy_context().run, ask, number, task)
            for number, task in enumerate(tasks)
        ]
        rows = [future.result() for future in asked]
    seconds = time.perf_counter() - began
    spent = sum((used for _, used in rows), usage.Usage())
    outcomes = tuple(row for row, _ in rows)
    return ValidIR(
        model=lm.model.removeprefix("local/"),
        detail=detail,
        temperature=temperature,
        max_tokens=int(writer.max_tokens.value),
        concurrent=concurrent,
        valid=Rate.of(sum(row.outcome == VALID for row in outcomes), len(outcomes)),
        seconds=seconds,
        prompt_tokens=spent.prompt_tokens,
        completion_tokens=spent.completion_tokens,
        outcomes=outcomes,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="qwen2.5-coder-0.5b", help="id of the catalogue")
    parser.add_argument("--tasks", type=int, default=40, help="specs, at most 160")
    parser.add_argument("--detail", choices=("basic", "structured", "checks"), default="basic")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--json", type=Path, help="file for the figures and every outcome")
    asked = parser.parse_args()
    environment.prepare()
    keys = environment.keys_of([catalogue.get(asked.model)])
    measured = measure(
        build_lm(asked.model, environment.models_dir(), keys=keys),
        specs(asked.tasks),
        detail=asked.detail,
        temperature=asked.temperature,
        concurrent=asked.concurrent,
    )
    print("\n".join(measured.lines()))
    if asked.json:
        write_atomically(asked.json, measured.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
