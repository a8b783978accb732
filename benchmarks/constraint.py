"""What constrained decoding costs: compiling each schema, and the mask of each token.

Usage: ``python benchmarks/constraint.py [--gguf FILE]``, with the extra ``transformers``. No model
runs; the tokenizer is that of the GGUF file. Each schema is compiled five times without a cache
(CPU time of all threads, median). Then the gold IRs of the train set are followed token by token,
as demos show them: the time to fill the mask before each token. Of several times the least is
taken, so that a busy machine disturbs little. The backend fills the masks of its rows in threads;
this is one row in one thread.

On two cores of a shared virtual machine, XGrammar 0.2.8::

    120 gold IRs; compiling in ms, masks in µs (median, mean, 99 %)
    ir_detail  ir_wire    compile    mask    mean    99 %
    basic      json          46.7    47.0    49.1    86.1
    basic      compact       34.8    46.2    47.1    83.1
    structured json          69.4    27.1    22.5    49.3
    structured compact       37.9    31.9    34.8    83.7
    checks     json          52.1    45.9    35.8    80.1
    checks     compact       30.7    46.2    44.8    84.1

The pattern of a parameter costs 25 ms of compiling; by the clock the JSON forms take 38 to 40 ms.
A mask between two parts of the JSON takes 2 µs. What counts is the inside of a text in a list: each
token that begins with a quote is followed to its end. Without any white space it takes 26 µs there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
import xgrammar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.app import environment  # noqa: E402
from lift_sys.inference.constraint import Grammars  # noqa: E402
from lift_sys.ir.schema import to_wire  # noqa: E402
from lift_sys.tasks import load_tasks  # noqa: E402
from programs.forms import IRForm, ir_form  # noqa: E402
from programs.signatures import WriteIR  # noqa: E402

VOCABULARY = 151_936
"""How many logits Qwen2.5-Coder gives."""
FORMS = [
    (detail, wire) for detail in ("basic", "structured", "checks") for wire in ("json", "compact")
]


def timed(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how long something takes, in seconds of a clock."""
    began = clock()
    work()
    return clock() - began


def followed(grammars: Grammars, form: IRForm, texts: list[list[int]]) -> list[float]:
    """Return the least µs of three for each mask on the way through texts, given as tokens."""
    mask = xgrammar.allocate_token_bitmask(1, VOCABULARY)
    least = []
    for tokens in texts:
        matcher, times = grammars.matcher(form.adapter.response_format), []
        for token in tokens:
            times.append(min(timed(lambda: matcher.fill_next_token_bitmask(mask)) for _ in "123"))  # noqa: B023
            if not matcher.accept_token(token):
                sys.exit("an IR of the data set is not accepted")
        least += times
    return [1e6 * seconds for seconds in least]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = environment.models_dir() / "qwen2.5-coder-0.5b.gguf"
    parser.add_argument("--gguf", type=Path, default=default, help="the model's file")
    path = parser.parse_args().gguf
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    irs = [t.gold_ir for t in load_tasks(ROOT / "datasets" / "train.jsonl") if t.gold_ir]
    grammars = Grammars(tokenizer, VOCABULARY, [tokenizer.eos_token_id])
    print(f"{len(irs)} gold IRs; compiling in ms, masks in µs (median, mean, 99 %)")
    print(f"{'ir_detail':11}{'ir_wire':9}{'compile':>9}{'mask':>8}{'mean':>8}{'99 %':>8}")
    for detail, wire in FORMS:
        form = ir_form(detail, wire)
        compiling = []
        for _ in range(5):
            grammars.forget()
            made = timed(lambda: grammars.matcher(form.adapter.response_format), time.process_time)  # noqa: B023
            compiling.append(1e3 * made)
        demos = [form.demo({"name": ir.signature.name, **to_wire(ir).model_dump()}) for ir in irs]
        signature = form.signature(WriteIR)
        texts = [form.adapter.format_assistant_message_content(signature, demo) for demo in demos]
        tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        masks = sorted(followed(grammars, form, tokens))
        print(
            f"{detail:11}{wire:9}{statistics.median(compiling):9.1f}"
            f"{statistics.median(masks):8.1f}{statistics.mean(masks):8.1f}"
            f"{masks[int(0.99 * len(masks))]:8.1f}"
        )


if __name__ == "__main__":
    main()
