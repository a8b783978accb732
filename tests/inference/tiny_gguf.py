"""A GGUF file of no intelligence: a Llama of one empty layer that likes each token in a fixed way.

What llama.cpp then writes under a schema is drawn of what its grammar allows, by these weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gguf: Any = pytest.importorskip("gguf", reason="needs the extra transformers")

WIDTH = 32
CONTEXT = 4096
NEVER = -50.0
"""Logit of a token that is written only where nothing else is allowed."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END = SPECIAL[2]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_gguf(path: Path, words: Sequence[str], likes: Mapping[str, float]) -> None:
    """Write a model whose vocabulary is all bytes and some words.

    Bytes beyond ASCII are never written alone: their order would be none of UTF-8.

    Args:
        path: Of the file.
        words: Tokens of several characters.
        likes: Logits of tokens; 0 for the others. The end comes where nothing else is allowed.
    """
    letters = _letters()
    plain = {"".join(letters[byte] for byte in word.encode()): word for word in words}
    texts = [*SPECIAL, *letters.values(), *plain]
    liked = {letters[byte]: likes.get(chr(byte), 0.0) for byte in range(128)}
    liked |= {token: likes.get(word, 0.0) for token, word in plain.items()}
    logits = [liked.get(text, NEVER) for text in texts]
    control = int(gguf.TokenType.CONTROL)
    kinds = [control] * len(SPECIAL) + [int(gguf.TokenType.NORMAL)] * (len(texts) - len(SPECIAL))
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_merges(["= ="])
    writer.add_eos_token_id(SPECIAL.index(END))
    writer.add_chat_template(TEMPLATE)
    for name, tensor in _tensors(logits).items():
        writer.add_tensor(name, tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _letters() -> dict[int, str]:
    """Return the sign that stands for each byte in a vocabulary of GPT-2's kind."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}


def _describe(writer: Any) -> None:
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH)


def _tensors(logits: Sequence[float]) -> dict[str, Any]:
    """Return weights under which every state is a vector of ones, which the last layer reads."""
    empty = np.zeros((WIDTH, WIDTH))
    layer = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    last = np.repeat(np.array(logits)[:, None] / WIDTH, WIDTH, axis=1)
    return {
        "token_embd.weight": np.ones((len(logits), WIDTH)),
        "output_norm.weight": np.ones(WIDTH),
        "output.weight": last,
        "blk.0.attn_norm.weight": np.ones(WIDTH),
        "blk.0.ffn_norm.weight": np.ones(WIDTH),
        **{f"blk.0.{name}.weight": empty for name in layer},
    }
