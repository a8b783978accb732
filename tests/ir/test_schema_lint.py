"""The lint of schemas: ours pass, what XGrammar would not enforce is named with its path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from lift_sys.ir.schema_lint import REFUSED as KEYWORDS
from lift_sys.ir.schema_lint import lint_schema
from tests.ir.schemas import ENFORCED, REFUSED, Refused, of_stages, ours

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from([*KEYWORDS, "type", "$ref", "enum", "const", "anyOf", "allOf"])
            | st.sampled_from(
                ["properties", "required", "items", "prefixItems", "pattern", "$defs"]
            )
            | st.sampled_from(["minimum", "maximum", "minItems", "maxItems", "a"]),
            inside,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("name", "model", "schema"), list(ours()), ids=lambda v: str(v)[:24])
def test_every_form_of_an_answer_passes(
    name: str, model: type[BaseModel], schema: dict[str, Any]
) -> None:
    assert lint_schema(schema) == ()


@pytest.mark.parametrize(("stage", "schema"), list(of_stages()))
def test_the_schema_of_every_stage_passes(stage: str, schema: dict[str, Any]) -> None:
    assert lint_schema(schema) == ()


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_not_enforced_is_named_with_its_path(case: Refused) -> None:
    paths = [problem.path for problem in lint_schema(case.schema)]
    assert case.at in paths


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_each_refused_keyword_has_a_reason(keyword: str) -> None:
    (problem,) = lint_schema({"type": "array", "items": {keyword: {}}})
    assert str(problem) == f"#/items/{keyword}: {KEYWORDS[keyword]}"


@pytest.mark.parametrize("schema", [case[0] for case in ENFORCED.values()], ids=ENFORCED)
def test_what_is_enforced_passes(schema: Any) -> None:
    assert lint_schema(schema) == ()


def test_a_property_may_be_named_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"not": {"type": "string"}}, "required": ["not"]}
    assert lint_schema(schema) == ()
    schema["properties"] = {"not": {"type": "string", "not": {}}}
    assert [problem.path for problem in lint_schema(schema)] == ["#/properties/not/not"]


def test_a_model_of_pydantic_with_lengths_is_refused_where_they_are() -> None:
    class Named(BaseModel):
        name: str = Field(max_length=20)
        tags: set[str]

    paths = {problem.path for problem in lint_schema(Named.model_json_schema())}
    assert paths == {"#/properties/name/maxLength", "#/properties/tags/uniqueItems"}


@given(anything)
def test_what_is_no_schema_is_told_and_never_crashes(value: Any) -> None:
    for path, reason in lint_schema(value):
        assert path.startswith("#")
        assert reason
