"""Which predicates are examples, which are properties, and that no text makes lint fail."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lift_sys.ir.lint import MAX_PREDICATE_CHARS, Census, Kind, census, lint, lint_ir
from lift_sys.ir.models import Assertion, FunctionSignature, Intent, Parameter, SpecIR

SIGNATURE = FunctionSignature(
    name="f",
    parameters=(Parameter(name="x", type_hint="int"), Parameter(name="y", type_hint="int")),
)


@pytest.mark.parametrize(
    ("predicate", "args", "expected"),
    [
        ("f(1, 2) == 3", "(1, 2)", "3"),
        ("3 == f(1, 2)", "(1, 2)", "3"),
        ("f(1) is True", "(1,)", "True"),
        ("None is f(1)", "(1,)", "None"),
        ("f(1)", "(1,)", "True"),
        ("not f(1)", "(1,)", "False"),
        ("f() == []", "()", "[]"),
        ("f(x=1, y=2) == 3", "(1, 2)", "3"),
        ("f(y=2, x=1) == 3", "(1, 2)", "3"),
        ("f(1, y=-2) == 3", "(1, -2)", "3"),
        ("assert f(1) == 2", "(1,)", "2"),
        ("assert f(1) == 2, 'must be two'", "(1,)", "2"),
        ("assert (f(1) == 2)", "(1,)", "2"),
        ("assert f(1) == 2;", "(1,)", "2"),
        ("f(true) == null", "(True,)", "None"),
        ("f([false, null]) == {'a': true}", "([False, None],)", "{'a': True}"),
        ("`f(1) == 2`", "(1,)", "2"),
        ("```python\nf(1) == 2\n```", "(1,)", "2"),
        ("f(1) == 2  # two", "(1,)", "2"),
        ("f(float('nan')) == set()", "(float('nan'),)", "set()"),
        ("f('ß\\n', b'x') == ('é', 1.5)", "('ß\\n', b'x')", "('é', 1.5)"),
    ],
)
def test_examples(predicate: str, args: str, expected: str) -> None:
    found = lint(predicate, SIGNATURE)
    assert (found.kind, found.args, found.expected) == (Kind.EXAMPLE, args, expected)
    assert found.reason == ""


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        ("result >= 0", "result >= 0"),
        ("f(x, y) == f(y, x)", "f(x, y) == f(y, x)"),
        ("assert isinstance(result, int)", "isinstance(result, int)"),
        ("f(1) != 2", "f(1) != 2"),
        ("f(1) == 2 == f(2)", "f(1) == 2 == f(2)"),
        ("f(*[1]) == 2", "f(*[1]) == 2"),
        ("f(z=1) == 2", "f(z=1) == 2"),
        ("f(1, x=1) == 2", "f(1, x=1) == 2"),
        ("all(f(i) == i for i in range(3))", "all((f(i) == i for i in range(3)))"),
        ("(lambda n: f(n) > 0)(3)", "(lambda n: f(n) > 0)(3)"),
        ("math.isclose(result, x)", "math.isclose(result, x)"),
        ("result is true", "result is True"),
        ("re.fullmatch(r'\\d+', result)", "re.fullmatch('\\\\d+', result)"),
    ],
)
def test_properties(predicate: str, text: str) -> None:
    found = lint(predicate, SIGNATURE)
    assert (found.kind, found.predicate) == (Kind.PROPERTY, text)
    assert found.args is None
    assert found.expected is None


@pytest.mark.parametrize(
    ("predicate", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("``````", "empty"),
        ("the result is never negative", "not a Python expression"),
        ("x = f(1)", "not a Python expression"),
        ("assert", "empty"),
        ("assert the result is right", "not a Python expression"),
        ("result == other", "names unknown things: other"),
        ("g(1) == 2", "names unknown things: g"),
        ("email", "names unknown things: email"),
        ("x > 0", "says nothing of the result"),
        ("1 == 1", "says nothing of the result"),
        ("f.__globals__ == {}", "names unknown things: .__globals__"),
        ("result.__class__.__mro__", "names unknown things: .__class__"),
        ("eval('f(1)') == 2", "names unknown things: eval"),
        ("exec(result)", "names unknown things: exec"),
        ("open('x').read() == result", "names unknown things: open"),
        ("__import__('os').system('x') == result", "names unknown things: __import__"),
        ("print(result)", "names unknown things: print"),
        ("f(1) == 2\nf(2) == 3", "not a Python expression"),
        ("f(1) == 'a', 'b'", "is no condition"),
        ("[f(1) == 2]", "is no condition"),
        ("lambda: f(1)", "is no condition"),
        ("f(1) raises ValueError", "not a Python expression"),
        ("f(\x00)", "not a Python expression"),
    ],
)
def test_informal_ones_say_why(predicate: str, reason: str) -> None:
    found = lint(predicate, SIGNATURE)
    assert found.kind is Kind.INFORMAL
    assert reason in found.reason
    assert found.args is None


@pytest.mark.parametrize("text", ["x" * 100_000, "f(" * 50_000, "assert " + "f(1) and " * 12_000])
def test_what_is_too_long_is_not_looked_at(text: str) -> None:
    found = lint(text, SIGNATURE)
    assert found.kind is Kind.INFORMAL
    assert "too long" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        shape
        for n in (50, 200, 400, 600, 900, 1900)
        for shape in (
            "-" * n + "1",
            "not " * (n // 4) + "f(1)",
            "f(1)" + ".a" * (n // 2),
            "f(1) == " + "+".join("1" * (n // 2)),
            "assert " + "-" * n + "f(1)",
            "(" * n + "f" + ")" * n,
            "f(" + "[" * n + "]" * n + ")",
            "f(1" + "[0]" * (n // 3),
        )
        if len(shape) <= MAX_PREDICATE_CHARS
    ],
    ids=len,
)
def test_deep_nesting_is_classified_not_raised(text: str) -> None:
    assert lint(text, SIGNATURE).kind in Kind


fragments = st.lists(
    st.sampled_from(
        "f ( ) [ ] { } == is not assert x y result true null 1 'a' \" , : . ` # \\ \n = lambda "
        "for in if else * ** -1 1j ... := await __class__ f'{x}' 0x 1e999 \ud800 \x00".split(" ")
    ),
    max_size=14,
).map(" ".join)


@given(st.text() | fragments | st.text(alphabet="f(x)= `assert\n'", max_size=40))
@example("assert")
@example("f(Fraction(1, 0))")
@example("f({[]})")
@example("f(" + "9" * 1900 + ") == 1")
def test_no_text_makes_it_fail(text: str) -> None:
    found = lint(text, SIGNATURE)
    assert (found.kind is Kind.EXAMPLE) == (found.args is not None) == (found.expected is not None)
    assert (found.kind is Kind.INFORMAL) == bool(found.reason)


@given(st.text() | fragments)
def test_a_finding_is_stable(text: str) -> None:
    found = lint(text, SIGNATURE)
    if found.kind is not Kind.INFORMAL:
        assert lint(found.predicate, SIGNATURE) == found


def test_every_assertion_of_an_ir_is_classified_in_order() -> None:
    predicates = ("f(1) == 1", "result > 0", "it works")
    ir = SpecIR(
        intent=Intent(summary=""),
        signature=SIGNATURE,
        assertions=tuple(Assertion(predicate=p) for p in predicates),
    )
    linted = lint_ir(ir)
    assert tuple(a.predicate for a, _ in linted) == predicates
    assert [f.kind for _, f in linted] == [Kind.EXAMPLE, Kind.PROPERTY, Kind.INFORMAL]


def asserting(*predicates: str) -> SpecIR:
    assertions = tuple(Assertion(predicate=p) for p in predicates)
    return SpecIR(intent=Intent(summary=""), signature=SIGNATURE, assertions=assertions)


@pytest.mark.parametrize(
    ("predicate", "counted"),
    [
        ("f(1) == 2", Census(as_written=1)),
        (" f( 1,2 )==  'a' ", Census(as_written=1)),
        ("result >= 0", Census(as_written=1)),
        ("assert f(1) == 2", Census(normalised=1)),
        ("f(1) = 2", Census(normalised=1)),
        ("f(1) == 2  # two", Census(normalised=1)),
        ("f(true) == 2", Census(normalised=1)),
        ("f(1) is two", Census(dropped=1)),
        ("it works", Census(dropped=1)),
        ("", Census(dropped=1)),
    ],
)
def test_the_census_tells_what_an_assertion_needed(predicate: str, counted: Census) -> None:
    assert census(asserting(predicate)) == counted


def test_a_census_counts_what_a_model_wrote_and_adds_up() -> None:
    ir = asserting("f(1) == 2", "assert f(2) == 3", "assert f(3) == 4", "odd", "even", "some")
    stated = Assertion(predicate="f(9) == 9", provenance="stated")
    with_stated = ir.model_copy(update={"assertions": (stated, *ir.assertions)})
    assert census(with_stated) == census(ir) == Census(as_written=1, normalised=2, dropped=3)
    assert census(ir) + census(asserting("f(1)")) == Census(as_written=2, normalised=2, dropped=3)
    assert census(asserting()) == Census()


@given(st.lists(st.text() | fragments, max_size=6, unique=True))
def test_a_census_counts_every_assertion_once(predicates: list[str]) -> None:
    counted = census(asserting(*predicates))
    assert counted.as_written + counted.normalised + counted.dropped == len(predicates)
