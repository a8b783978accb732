"""What constrained decoding costs: compiling each schema, and the mask of each token.

Usage: ``python benchmarks/constraint.py [--gguf FILE]``, with the extra ``transformers``. No model
runs; the tokenizer is that of the GGUF file. Each schema is compiled five times without a cache
(median, by the clock and of the processor, in XGrammar's threads). Then the gold IRs of the train
set are followed token by token, as demos show them: the time to fill the mask before each token. Of
several times the least is taken, so that a busy machine disturbs little. The backend fills the
masks of its rows in threads; this is one row in one thread. Last the median of the same masks where
XGrammar translates the schema itself, with at most one character of white space.

On two cores of a shared virtual machine, XGrammar 0.2.8::

    120 gold IRs; compiling in ms, masks in µs
    ir_detail  ir_wire    clock    CPU   median   mean   99 %  XGrammar
    basic      json        37.9   72.6     14.3   13.5   50.3      46.8
    basic      compact     28.6   52.0     14.0   12.5   24.0      47.4
    structured json        43.4   80.6      5.6    9.6   47.7      27.5
    structured compact     31.9   54.7      5.5    8.5   64.6      28.3
    checks     json        38.7   71.3     13.9   13.2   49.5      46.8
    checks     compact     29.4   45.9     13.8   10.9   14.4      46.5
"""

from __future__ import annotations

import argparse
import json
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
from programs.forms import ir_form  # noqa: E402
from programs.signatures import WriteIR  # noqa: E402

VOCABULARY = 151_936
"""How many logits Qwen2.5-Coder gives."""
FORMS = [
    (detail, wire) for detail in ("basic", "structured", "checks") for wire in ("json", "compact")
]


def timed(work: Callable[[], Any]) -> float:
    """Return how long something takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def followed(matcher_of: Callable[[], Any], texts: list[list[int]]) -> list[float]:
    """Return the least µs of three for each mask on the way through texts, sorted."""
    mask = xgrammar.allocate_token_bitmask(1, VOCABULARY)
    least = []
    for tokens in texts:
        matcher, times = matcher_of(), []
        for token in tokens:
            times.append(min(timed(lambda: matcher.fill_next_token_bitmask(mask)) for _ in "123"))  # noqa: B023
            if not matcher.accept_token(token):
                sys.exit("an IR of the data set is not accepted")
        least += times
    return sorted(1e6 * seconds for seconds in least)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = environment.models_dir() / "qwen2.5-coder-0.5b.gguf"
    parser.add_argument("--gguf", type=Path, default=default, help="the model's file")
    path = parser.parse_args().gguf
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    irs = [t.gold_ir for t in load_tasks(ROOT / "datasets" / "train.jsonl") if t.gold_ir]
    ends = [tokenizer.eos_token_id]
    grammars = Grammars(tokenizer, VOCABULARY, ends)
    known = xgrammar.TokenizerInfo.from_huggingface(
        tokenizer, vocab_size=VOCABULARY, stop_token_ids=ends
    )
    theirs = xgrammar.GrammarCompiler(known)
    print(f"{len(irs)} gold IRs; compiling in ms, masks in µs")
    print(
        f"{'ir_detail':11}{'ir_wire':9}{'clock':>7}{'CPU':>7}"
        f"{'median':>9}{'mean':>7}{'99 %':>7}{'XGrammar':>10}"
    )
    for detail, wire in FORMS:
        form = ir_form(detail, wire)
        asked = form.adapter.response_format
        clock, processor = [], []
        for _ in range(5):
            grammars.forget()
            began = time.process_time()
            clock.append(1e3 * timed(lambda: grammars.matcher(asked)))  # noqa: B023
            processor.append(1e3 * (time.process_time() - began))
        demos = [form.demo({"name": ir.signature.name, **to_wire(ir).model_dump()}) for ir in irs]
        signature = form.signature(WriteIR)
        texts = [form.adapter.format_assistant_message_content(signature, demo) for demo in demos]
        tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        masks = followed(lambda: grammars.matcher(asked), tokens)  # noqa: B023
        schema = json.dumps(asked["json_schema"]["schema"])
        compiled = theirs.compile_json_schema(schema, max_whitespace_cnt=1)
        other = followed(lambda: xgrammar.GrammarMatcher(compiled), tokens)  # noqa: B023
        print(
            f"{detail:11}{wire:9}{statistics.median(clock):7.1f}{statistics.median(processor):7.1f}"
            f"{statistics.median(masks):9.1f}{statistics.mean(masks):7.1f}"
            f"{masks[int(0.99 * len(masks))]:7.1f}{statistics.median(other):10.1f}"
        )


if __name__ == "__main__":
    main()
