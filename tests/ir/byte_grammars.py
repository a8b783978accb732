"""XGrammar over a vocabulary of bytes: what fits a schema, and texts that it lets a model write."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from lift_sys.inference.ebnf import ebnf_of

xgrammar = pytest.importorskip("xgrammar", reason="needs the extra transformers")

WORDS = ['": "', '", "', '"], "', "==", "return", "\\n", "\\u00", "é", "日本", "😀", " " * 4]
"""Tokens of several characters, as a real vocabulary has them, across the parts of a JSON text."""
VOCABULARY = [bytes([i]) for i in range(256)] + [word.encode() for word in WORDS] + [b"<end>"]
END = len(VOCABULARY) - 1
CLOSING = tuple(VOCABULARY.index(text) for text in (b'"', b"]", b"}", b",", b":"))

_COMPILER = xgrammar.GrammarCompiler(
    xgrammar.TokenizerInfo(VOCABULARY, vocab_size=len(VOCABULARY), stop_token_ids=[END])
)


Translation = Callable[[Any], Any]
"""How a schema becomes a compiled grammar."""


def free(schema: Any) -> Any:
    """Translate as XGrammar does, with free white space."""
    return _COMPILER.compile_json_schema(json.dumps(schema))


def as_ebnf(schema: Any) -> Any:
    """Translate as the backend does, with as much white space as llama.cpp allows."""
    ebnf = ebnf_of(schema)
    assert ebnf is not None
    return _COMPILER.compile_grammar(ebnf)


def accepts(schema: Any, text: str, translated: Translation = free) -> bool:
    """Return whether a whole text can be written under a schema."""
    follows = xgrammar.GrammarMatcher(translated(schema))
    return bool(follows.accept_string(text)) and bool(follows.is_completed())


def written(
    schema: Any, drawn: random.Random, length: int = 300, translated: Translation = free
) -> str:
    """Return a text that XGrammar lets a model write: tokens drawn of those that it allows.

    Args:
        schema: Of the text.
        drawn: Draws.
        length: Tokens after which the text is brought to its end.
        translated: How the schema becomes a grammar.
    """
    follows, text = xgrammar.GrammarMatcher(translated(schema)), b""
    mask = xgrammar.allocate_token_bitmask(1, len(VOCABULARY))
    while True:
        follows.fill_next_token_bitmask(mask)
        words = mask[0].tolist()
        allowed = [i for i in range(len(VOCABULARY)) if words[i // 32] >> (i % 32) & 1]
        closing = [token for token in CLOSING if token in allowed]
        if END in allowed and (len(allowed) == 1 or drawn.random() < 0.5 or length < 0):
            # Half a character may come in UTF-8, too; tokenizers decode it in the same way.
            return text.decode(errors="replace")
        # A text that is drawn evenly never ends: one in fifteen tokens is a quote then.
        in_haste = length < 0 or drawn.random() < 0.1
        if in_haste:
            solid = [token for token in allowed if not VOCABULARY[token].isspace()]
            allowed = closing[:1] or solid or allowed
        token = drawn.choice([token for token in allowed if token != END])
        assert follows.accept_token(token)
        text += VOCABULARY[token]
        length -= 1
