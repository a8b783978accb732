"""Answers under a JSON schema: XGrammar's masks for the rows of a batch.

Owns how a requested form becomes a grammar, and what a schema must not hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import xgrammar

from lift_sys.inference.ebnf import ebnf_of
from lift_sys.inference.failures import EngineError
from lift_sys.ir.schema_lint import lint_schema

MAX_WHITESPACE = 1
"""Most characters of white space between two parts, where XGrammar translates a schema itself."""

_SIDE_BY_SIDE = xgrammar.BatchGrammarMatcher(max_threads="auto")
"""Fills the masks of many rows in threads; for one row, in the caller's."""


class Grammars:
    """Compiles the forms of answers for one model; equal ones once.

    Args:
        tokenizer: Of the model, as transformers loads it.
        vocabulary: How many logits the model gives.
        ends: Tokens that end an answer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Sequence[int]) -> None:
        self._compiler = xgrammar.GrammarCompiler(
            xgrammar.TokenizerInfo.from_huggingface(
                tokenizer, vocab_size=vocabulary, stop_token_ids=list(ends)
            )
        )

    def matcher(self, form: Mapping[str, Any]) -> Any:
        """Return what follows one answer of the form that a chat body's ``response_format`` asks.

        Raises:
            EngineError: The schema is none, or asks for what would not be enforced.
        """
        return xgrammar.GrammarMatcher(self._compiled(form))

    def forget(self) -> None:
        """Compile anew from now on, also what was compiled before."""
        self._compiler.clear_cache()

    def _compiled(self, form: Mapping[str, Any]) -> Any:
        if form["type"] != "json_schema":
            return self._compiler.compile_builtin_json_grammar()
        schema = form["json_schema"]["schema"]
        if found := lint_schema(schema):
            msg = f"the schema of the answer cannot be enforced: {found[0]}"
            raise EngineError(msg)
        try:
            if ebnf := ebnf_of(schema):
                return self._compiler.compile_grammar(ebnf)
            return self._compiler.compile_json_schema(
                json.dumps(schema), any_whitespace=True, max_whitespace_cnt=MAX_WHITESPACE
            )
        except (RuntimeError, ValueError) as error:
            msg = f"XGrammar refuses the schema of the answer: {str(error).splitlines()[-1]}"
            raise EngineError(msg) from error


def allow_only(logits: torch.Tensor, matchers: Sequence[Any | None]) -> None:
    """Set the logits of tokens that a row's grammar does not allow to minus infinity.

    Args:
        logits: One row each.
        matchers: Of each row; ``None`` allows every token.
    """
    rows = [row for row, matcher in enumerate(matchers) if matcher is not None]
    if not rows:
        return
    vocabulary = logits.shape[-1]
    masks = xgrammar.allocate_token_bitmask(len(matchers), vocabulary)  # all ones
    _SIDE_BY_SIDE.batch_fill_next_token_bitmask([matchers[row] for row in rows], masks, rows)
    # On a GPU the plain operations, because the kernels are compiled there when first needed.
    on_cpu = logits.device.type == "cpu"
    xgrammar.apply_token_bitmask_inplace(
        logits, masks.to(logits.device), backend="cpu" if on_cpu else "torch_native"
    )
