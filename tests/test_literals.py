"""Literal text gives back the value it was written from, and nothing else is ever evaluated."""

from __future__ import annotations

import datetime
import math
import warnings
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lift_sys.literals import (
    MAX_LITERAL_CHARS,
    is_literal,
    literal_key,
    literal_type,
    parse_literal,
    write_literal,
)

hashable: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
values: st.SearchStrategy[Any] = st.recursive(
    hashable | st.sets(hashable, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashable, inner, max_size=3)
    ),
    max_leaves=8,
)


def _exact(value: Any) -> str:
    """Return text that is equal for equal values of equal types, unlike ``==`` for 1 and True."""
    name = type(value).__name__
    match value:
        case set() | frozenset():
            return f"{name}{sorted(_exact(v) for v in value)}"
        case list() | tuple():
            return f"{name}{[_exact(v) for v in value]}"
        case dict():
            return f"{name}{[(_exact(k), _exact(v)) for k, v in value.items()]}"
    return repr(value)


@given(values)
def test_a_repr_gives_back_the_value(value: Any) -> None:
    assert _exact(parse_literal(repr(value))) == _exact(value)
    assert _exact(parse_literal(f"  {value!r}\n")) == _exact(value)
    assert is_literal(repr(value))


@given(st.complex_numbers(allow_nan=False, allow_infinity=False))
def test_complex_numbers(value: complex) -> None:
    assert parse_literal(repr(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("set()", set()),
        ("set([1, 2])", {1, 2}),
        ("frozenset()", frozenset()),
        ("frozenset({1})", frozenset({1})),
        ("float('inf')", math.inf),
        ("float('-inf')", -math.inf),
        ("Decimal('1.50')", Decimal("1.50")),
        ("Fraction(1, 3)", Fraction(1, 3)),
        ("Fraction('2/6')", Fraction(1, 3)),
        ("date(2024, 2, 29)", datetime.date(2024, 2, 29)),
        ("datetime(2024, 2, 29, 1)", datetime.datetime(2024, 2, 29, 1)),  # noqa: DTZ001
        ("time(23, 59)", datetime.time(23, 59)),
        ("timedelta(1, 2)", datetime.timedelta(1, 2)),
        ("[Decimal('1'), {date(2024, 1, 1): set()}]", [1, {datetime.date(2024, 1, 1): set()}]),
        ("'a' 'b'", "ab"),
        ("-1", -1),
        ("1 - 2j", 1 - 2j),
    ],
)
def test_constructors_and_signs(text: str, value: Any) -> None:
    parsed = parse_literal(text)
    assert parsed == value
    assert type(parsed) is type(value)
    assert repr(parsed) == repr(value) or isinstance(value, list)


def test_nan() -> None:
    assert math.isnan(parse_literal("float('nan')"))


REFUSED = [
    "",
    " ",
    "x",
    "inf",
    "...",
    "f(1)",
    "print('x')",
    "__import__('os')",
    "open('/etc/passwd')",
    "set.__class__",
    "date.today()",
    "float(x='1')",
    "set(*[1])",
    "timedelta(days=1)",
    "[x for x in 'ab']",
    "{**{}}",
    "[*[1]]",
    "f'{1}'",
    "lambda: 1",
    "1 if 1 else 2",
    "1 < 2",
    "not 1",
    "1 + 1",
    "2 ** 99",
    "'a' * 9",
    "[1][0]",
    "1; 2",
    "x = 1",
    "(yield)",
    "date(2024, 2, 30)",
    "date('2024')",
    "float('x')",
    "Decimal('x')",
    "Fraction(1, 0)",
    "timedelta(10 ** 20)",
    "timedelta(100000000000000000000)",
    "{[]}",
    "{[]: 1}",
    "set(5)",
    "'\ud800",
    "1\x00",
    "9" * 5000,
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda t: ascii(t)[:20])
def test_what_is_not_a_literal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_literal(text)
    assert not is_literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "[" * 150 + "]" * 150,
        "{0: " * 199 + "1" + "}" * 199,
        "-" * 3000 + "1",
        "-" * 900_000 + "1",
        "1+" * 400_000 + "1",
        "set(" * 150 + ")" * 150,
        "0" + ".a" * 2000,
    ],
    ids=lambda t: f"{t[:4]}-{len(t)}",
)
def test_deep_nesting_is_refused_or_read(text: str) -> None:
    try:
        parse_literal(text)
    except ValueError:
        assert not is_literal(text)


def test_huge_text_is_refused_before_it_is_parsed() -> None:
    assert parse_literal("'" + "a" * (MAX_LITERAL_CHARS - 2) + "'") == "a" * (MAX_LITERAL_CHARS - 2)
    with pytest.raises(ValueError, match=r"1000001 characters is longer than 1000000"):
        parse_literal("'" + "a" * (MAX_LITERAL_CHARS - 1) + "'")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["Fraction('1e999999999')", "Fraction(Decimal('1E999999999'))", "Fraction('1', '1E9')"]
)
def test_a_short_text_cannot_ask_for_a_number_of_a_billion_digits(text: str) -> None:
    assert not is_literal(text)


pieces = st.lists(
    st.sampled_from(
        "( ) [ ] { } , : 1 -1 'a' b'' None True set frozenset Decimal Fraction date float x * ** "
        "+ - j = . f'' lambda for in not \ud800 \x00 \\".split(" ")
    ),
    max_size=12,
).map(" ".join)


@given(st.text(max_size=60) | pieces)
@example("\ud800")
def test_arbitrary_text_gives_a_value_or_a_value_error(text: str) -> None:
    try:
        parse_literal(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017
        assert not is_literal(text)
    else:
        assert is_literal(text)


_pieces = st.sampled_from(
    [
        *"()[]{},,:: -+*'\"\\.#0123x\né",
        *("None True 'a' 01 1.5 1e5 1_0 2j b'x' r'x' f'x' set() {'a':1} (1,) [1] ... '''".split()),
        *("date(2024, 2, 30)", "timedelta(9999999999)", "1 + 2j", "'\x00'", "'\ud800'"),
    ]
)


@given(st.lists(_pieces, max_size=9).map("".join) | values.map(repr))
@example("-'a'")
@example("(-'a',)")
@example("{[1]: 2}")
@example("('a''b',)")
@example("(01,)")
@example("(1.5).real")
@example(f"('{'a' * MAX_LITERAL_CHARS}',)")
@example(f"'{'a' * MAX_LITERAL_CHARS}'")
def test_the_quick_answer_is_the_slow_one(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such text makes the parser warn
        try:
            slow: type | None = type(parse_literal(text))
        except ValueError:
            slow = None
        assert literal_type(text) is slow


@given(values)
@example(math.nan)
@example([math.inf, -math.inf, (math.nan,)])
@example({"a": set(), 1: frozenset(), None: (1,)})
@example([Decimal("1.50"), Fraction(1, 3), 1 - 2j, datetime.date(2024, 2, 29)])
@example(datetime.timedelta(days=-1, seconds=5))
def test_what_was_written_is_read_back(value: Any) -> None:
    assert _exact(parse_literal(write_literal(value))) == _exact(value)


@pytest.mark.parametrize("value", [object(), [object()], range(3), bytearray(b"x"), len, ...])
def test_what_has_no_literal_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="has no literal"):
        write_literal(value)


@given(values)
def test_a_key_is_the_same_however_a_value_is_written(value: Any) -> None:
    text = write_literal(value)
    assert literal_key(text) == literal_key(f" ( {text} ) ") == repr(parse_literal(text))


def test_a_key_tells_types_apart_and_refuses_what_is_no_literal() -> None:
    assert len({literal_key(text) for text in ("1", "1.0", "True", "'1'")}) == 4
    long = f"({'1, ' * 400})"
    assert literal_key(long) == literal_key(long.replace(" ", ""))
    for _ in range(2):
        with pytest.raises(ValueError, match="not a Python literal"):
            literal_key("[x]")
