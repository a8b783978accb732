"""How many tokens each wire form of an IR takes, for the gold IRs of the train set.

Usage: ``python benchmarks/wire.py [--gguf FILE]``. No model runs: the tokenizer alone is read from
the GGUF file (its first megabytes), as llama.cpp would. On 80 unconstrained answers of the model it
counts exactly what llama.cpp reported, less the token that ends an answer.

Per form: tokens of one answer (mean over the IRs) on one line, as demos show it; the same indented,
as models print JSON to which nothing was shown; and tokens of the constant system message. A model
under a grammar may split a text into more tokens than these, and writes other IRs than people do:
this compares forms for equal content, not what a run costs. ``checks`` has less content.

On the tokenizer of Qwen2.5-Coder (0.5B and 1.5B have the same)::

    120 gold IRs; mean tokens
    ir_detail  ir_wire   one line  indented  system
    basic      json         138.8     162.5     142
    basic      compact      115.4     141.0     139
    structured json         214.3     258.8     176
    structured compact      164.6     228.4     167
    checks     json          79.7      95.5     107
    checks     compact       73.6      88.7     115
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

from tokenizers import Regex, Tokenizer, models, pre_tokenizers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.app import environment  # noqa: E402
from lift_sys.ir.models import SpecIR  # noqa: E402
from lift_sys.ir.schema import to_wire  # noqa: E402
from lift_sys.tasks import load_tasks  # noqa: E402
from programs.forms import IRForm, ir_form  # noqa: E402
from programs.signatures import WriteIR  # noqa: E402

FORMS = [
    (detail, wire) for detail in ("basic", "structured", "checks") for wire in ("json", "compact")
]

_NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""How GGUF's kinds of numbers are packed (``struct``); 8 is text, 9 a list."""

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How text is cut before pairs are merged, where the file says ``qwen2``."""


def _number(file: BinaryIO, packed: str) -> Any:
    (value,) = struct.unpack("<" + packed, file.read(struct.calcsize("<" + packed)))
    return value


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == 8:
        return file.read(_number(file, "Q")).decode()
    if kind == 9:
        inner, length = _number(file, "I"), _number(file, "Q")
        return [_value(file, inner) for _ in range(length)]
    return _number(file, _NUMBERS[kind])


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer that a GGUF file holds.

    Raises:
        SystemExit: There is no such file, or its tokenizer is another kind than Qwen2's.
    """
    if not path.exists():
        sys.exit(f"{path} does not exist; fetch it with: lift models pull qwen2.5-coder-0.5b")
    with path.open("rb") as file:
        _magic_version_tensors, count = file.read(16), _number(file, "Q")
        known = {_value(file, 8): _value(file, _number(file, "I")) for _ in range(count)}
    if known["tokenizer.ggml.pre"] != "qwen2":
        sys.exit(f"{path} has a tokenizer of the kind {known['tokenizer.ggml.pre']}, not qwen2")
    merges = [tuple(pair.split(" ")) for pair in known["tokenizer.ggml.merges"]]
    numbered = {text: i for i, text in enumerate(known["tokenizer.ggml.tokens"])}
    tokenizer = Tokenizer(models.BPE(vocab=numbered, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def answer(ir: SpecIR, form: IRForm) -> str:
    """Return an IR as a demo shows it in a form."""
    demo = {"name": ir.signature.name, **to_wire(ir).model_dump()}
    return form.adapter.format_assistant_message_content(form.signature(WriteIR), form.demo(demo))


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = environment.models_dir() / "qwen2.5-coder-0.5b.gguf"
    parser.add_argument("--gguf", type=Path, default=default, help="the model's file")
    tokenizer = read_tokenizer(parser.parse_args().gguf)
    irs = [t.gold_ir for t in load_tasks(ROOT / "datasets" / "train.jsonl") if t.gold_ir]

    def tokens(texts: list[str]) -> float:
        return sum(len(tokenizer.encode(text).ids) for text in texts) / len(texts)

    print(f"{len(irs)} gold IRs; mean tokens")
    print(f"{'ir_detail':11}{'ir_wire':9}{'one line':>9}{'indented':>10}{'system':>8}")
    for detail, wire in FORMS:
        form = ir_form(detail, wire)
        lines = [answer(ir, form) for ir in irs]
        indented = [json.dumps(json.loads(line), indent=2, ensure_ascii=False) for line in lines]
        system = form.adapter.format_system_message(form.signature(WriteIR))
        counts = f"{tokens(lines):9.1f}{tokens(indented):10.1f}{tokens([system]):8.0f}"
        print(f"{detail:11}{wire:9}{counts}")


if __name__ == "__main__":
    main()
