"""Masks of a batch: what a row's grammar allows, and nothing for rows that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lift_sys.inference.failures import EngineError

torch = pytest.importorskip("torch", reason="needs the extra transformers")
transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
constraint: Any = pytest.importorskip("lift_sys.inference.constraint")

pytestmark = pytest.mark.transformers

WIDTH = 1000
COLOUR = {"type": "string", "enum": ["red", "blue"]}


@pytest.fixture(scope="module")
def tokenizer(tiny_weights: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(tiny_weights)


@pytest.fixture(scope="module")
def grammars(tokenizer: Any) -> Any:
    return constraint.Grammars(tokenizer, WIDTH, [tokenizer.eos_token_id])


def form_of(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def allowed(matchers: list[Any]) -> list[set[int]]:
    logits = torch.zeros(len(matchers), WIDTH)
    constraint.allow_only(logits, matchers)
    return [set((row == 0).nonzero()[:, 0].tolist()) for row in logits]


def test_each_row_has_its_own_mask(tokenizer: Any, grammars: Any) -> None:
    colour, number = grammars.matcher(form_of(COLOUR)), grammars.matcher(form_of({"const": 7}))
    assert colour.accept_string('"b')
    free, blue, seven = allowed([None, colour, number])
    assert len(free) == WIDTH
    assert blue
    assert {tokenizer.decode([token]) for token in blue} <= {"l", "lu", "lue", 'lue"'}
    assert {tokenizer.decode([token]) for token in seven} == {"7"}


def test_what_is_complete_can_only_end(tokenizer: Any, grammars: Any) -> None:
    done = grammars.matcher(form_of({"const": 7}))
    assert done.accept_string("7")
    assert allowed([done]) == [{tokenizer.eos_token_id}]


def test_a_gpu_masks_as_the_cpu_does(grammars: Any) -> None:
    matcher = grammars.matcher(form_of(COLOUR))
    assert matcher.accept_string('"')
    masks = constraint.xgrammar.allocate_token_bitmask(1, WIDTH)
    matcher.fill_next_token_bitmask(masks)
    logits = torch.randn(1, WIDTH)
    there, here = logits.clone(), logits.clone()
    constraint.allow_only(here, [matcher])
    constraint.xgrammar.apply_token_bitmask_inplace(there, masks, backend="torch_native")
    assert torch.equal(here, there)
    assert torch.isinf(here).any()


@pytest.mark.parametrize(("text", "fits"), [('{"a": 1}', True), ('{\n    "a": 1}', False)])
def test_white_space_is_free_in_small_amounts(grammars: Any, text: str, fits: bool) -> None:
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}
    assert grammars.matcher(form_of(schema)).accept_string(text) is fits


def test_a_schema_that_xgrammar_refuses_is_told(
    grammars: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constraint, "lint_schema", lambda schema: ())
    with pytest.raises(EngineError, match=r"XGrammar refuses the schema.*dangling"):
        grammars.matcher(form_of({"$ref": "#/$defs/dangling"}))
