"""Values cross the boundary unchanged, and what no honest child sends is refused cheaply."""

from __future__ import annotations

import datetime
import json
import math
import time
import timeit
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_sys.sandbox import codec
from lift_sys.sandbox.codec import DecodeError, decode, parse_line, shorten
from lift_sys.sandbox.compare import equal
from lift_sys.sandbox.tagged import MAX_ELEMENTS, NotEncodableError, encode, to_json

_zones = st.none() | st.just(datetime.UTC)
_keys = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.dates(),
    st.datetimes(timezones=_zones),
    st.times(),
    st.timedeltas(),
)
_leaves = _keys | st.floats() | st.complex_numbers() | st.decimals() | st.builds(bytearray)
VALUES = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(_keys, inner, max_size=4),
        st.sets(_keys, max_size=4),
        st.frozensets(_keys, max_size=4),
    ),
    max_leaves=12,
)


def roundtrip(value: object) -> Any:
    return decode(parse_line(to_json([encode(value)]).encode("ascii"))[0])


def cost(work: Callable[[], object]) -> float:
    """Seconds of the processor; the least of some runs, as the machine does other things, too."""
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=5))


@given(VALUES)
def test_values_come_back_equal_and_of_the_same_type(value: object) -> None:
    back = roundtrip(value)
    assert type(back) is type(value)
    assert equal(back, value) or "sNaN" in repr(value)


EDGES = [2**63, -(2**63) - 1, "\ud800", "\0", float("-inf"), -0.0, set(), frozenset(), (), {}]


@pytest.mark.parametrize("value", EDGES, ids=repr)
def test_values_at_the_edges_come_back(value: object) -> None:
    assert repr(roundtrip(value)) == repr(value)


def test_an_integer_that_python_will_not_print_comes_back() -> None:
    assert roundtrip(-(10**5000)) == -(10**5000)


@pytest.mark.parametrize(
    "value", [Counter("aab"), defaultdict(int, {"a": 1}), OrderedDict([("b", 1), ("a", 2)])]
)
def test_dictionaries_of_collections_are_sent_as_plain_ones(value: dict[str, int]) -> None:
    back = roundtrip(value)
    assert type(back) is dict
    assert back == value


class _Subclass(int):
    pass


@pytest.mark.parametrize(
    "value", [_Subclass(3), object(), range(3), [lambda: 1], len, (x for x in "")]
)
def test_other_types_have_no_tagged_form(value: object) -> None:
    with pytest.raises(NotEncodableError, match="a value of type"):
        encode(value)


@pytest.mark.timeout(60)  # 2**60 elements never end
def test_cycles_and_shared_giants_end() -> None:
    cycle: list[Any] = []
    cycle.extend([cycle, cycle])
    giant: list[Any] = []
    for _ in range(60):
        giant = [giant, giant]
    for value in (cycle, giant):
        with pytest.raises(NotEncodableError):
            encode(value)


def colliding(count: int) -> list[Any]:
    return ["s", *(["i", hex(k * (2**61 - 1))] for k in range(count))]


def test_sixteen_thousand_colliding_keys_cost_no_more_than_others() -> None:
    hostile = to_json(colliding(16_000)).encode()
    honest = to_json(["s", *(["i", hex(k)] for k in range(16_000))]).encode()

    def refused() -> None:
        with pytest.raises(DecodeError, match="keys with equal hashes"):
            decode(parse_line(hostile))

    assert cost(refused) < 3 * cost(lambda: decode(parse_line(honest)))


def test_a_few_colliding_keys_are_honest() -> None:
    value = {k * (2**61 - 1) for k in range(20)}
    assert equal(roundtrip(value), value)
    assert len(decode(colliding(codec.MAX_EQUAL_HASHES))) == codec.MAX_EQUAL_HASHES


@pytest.mark.parametrize(
    "tagged",
    [
        {},
        {"d": 1},
        [],
        [1],
        [[]],
        ["unknown"],
        ["d", 1],
        ["s", ["l"]],
        ["s", 1, True],
        ["d", 1, 1, 1.0, 2],
        ["i", "zz"],
        ["i", 7],
        ["i", "0x" + "f" * 300_000],
        ["f", "1.5"],
        ["b", "\u1234"],
        ["c", "x", "1"],
        ["D", "one"],
        ["D", "1" * 20_000],
        ["F", "1", "0"],
        ["da", 2024, 13, 1],
        ["da", "2024", 1, 1],
        ["dt", 2024],
        ["tm", 1, 2, 3, 4, 5, [1, 2]],
        ["td", 1.5, 0, 0],
        ["td", 10**18, 0, 0],
        ["l", *([0] * (2 * MAX_ELEMENTS + 1))],
    ],
    ids=lambda tagged: str(tagged)[:30],
)
def test_malformed_values_are_refused(tagged: Any) -> None:
    with pytest.raises(DecodeError):
        decode(tagged)


BAD_LINES = [b"", b"{}", b"nan", b"[NaN]", b"[Infinity]", b"\xff", b"[" * 100_000, b"[1" * 5000]


@pytest.mark.parametrize("line", [*BAD_LINES, b"[1" + b"0" * 5000 + b"]"], ids=lambda b: b[:9])
def test_lines_that_are_not_arrays_of_json_are_refused(line: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_line(line)


def of_lists(length: int) -> str:
    return "[" + "[]," * (length // 3) + "0]"


def of_digits(length: int) -> str:
    return "[0." + "1" * length + "]"


def of_floats(length: int) -> str:
    return "[1e5" + ",1e5" * (length // 4) + "]"


@pytest.mark.parametrize("text", [of_lists, of_digits, of_floats])
def test_the_cost_of_a_line_grows_with_its_length_and_no_faster(text: Callable[[int], str]) -> None:
    short, long = (text(length).encode() for length in (250_000, 1_000_000))

    # Four times the text: a square would cost sixteen times as much.
    assert cost(lambda: parse_line(long)) < 10 * cost(lambda: parse_line(short))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 2], "[1, 2]"),
        ((1,), "(1,)"),
        ({"a": {1}}, "{'a': {1}}"),
        (set(), "set()"),
        (frozenset({1}), "frozenset({1})"),
        ("x" * 500, "'" + "x" * 198 + "…"),
        ("\ud800", "'\\ud800'"),
        (math.nan, "nan"),
    ],
)
def test_shortened_text_is_repr_within_its_width(value: object, text: str) -> None:
    assert shorten(value) == text


def test_shortened_text_of_a_huge_integer_tells_its_size() -> None:
    assert shorten([10**5000]) == "[<int of 16610 bits>]"


@given(VALUES)
def test_shortened_text_never_exceeds_its_width(value: object) -> None:
    text = shorten(value, 60)
    assert len(text) <= 60
    text.encode()
    assert json.loads(json.dumps(text)) == text


EQUAL = [
    (math.nan, math.nan),
    ([math.nan], [math.nan]),
    (-0.0, 0.0),
    ({1: -0.0}, {1: 0.0}),
    ({-0.0}, {0.0}),
    (complex(0, math.nan), complex(0, math.nan)),
    (Decimal("1.0"), Decimal("1.00")),
    ({Decimal("1.0")}, {Decimal("1.00")}),
    (Decimal("NaN"), Decimal("NaN")),
    (Fraction(2, 4), Fraction(1, 2)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, 2, 3}, {3, 2, 1}),
    ({(1, 2): {3}}, {(1, 2): {3}}),
]
UNEQUAL = [
    (True, 1),
    (1, 1.0),
    (1, Fraction(1)),
    (1.0, Decimal(1)),
    (1.0, complex(1)),
    ([1], (1,)),
    ({1}, frozenset({1})),
    ({1: 1}, {True: 1}),
    ({1}, {1.0}),
    ({(1,)}, {(True,)}),
    (b"", ""),
    (b"a", bytearray(b"a")),
    ([1], [1, 2]),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": 1}, {"b": 1}),
    (None, False),
    ("1", 1),
    (datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1)),  # noqa: DTZ001
    (math.nan, 0.0),
    (math.inf, -math.inf),
    (Decimal("sNaN"), Decimal(1)),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_values(a: object, b: object) -> None:
    assert equal(a, b)
    assert equal(b, a)


@pytest.mark.parametrize(("a", "b"), UNEQUAL)
def test_unequal_values(a: object, b: object) -> None:
    assert not equal(a, b)
    assert not equal(b, a)


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        (1.0, 1.05, True),
        (1, 1.05, True),
        (1.0, 1.2, False),
        ([1.0, {"x": 2.0}], [1.01, {"x": 2.01}], True),
        ({1.0, 2.0}, {2.01, 1.01}, True),
        ({1.0, 2.0}, {1.0, 3.0}, False),
        (True, 1.0, False),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
        (math.inf, math.inf, True),
        (math.inf, 1e308, False),
        (10**400, 1.5, False),
        (10**400, 10**400, True),
        (complex(1, 1), complex(1.01, 1), True),
        (Decimal("1.05"), 1, True),
        (Decimal("1e999999"), 1.0, False),
        (Fraction(1, 3), 0.333, True),
        ("a", "a", True),
        ([1.0], (1.0,), False),
    ],
)
def test_a_tolerance_allows_a_difference(a: object, b: object, result: bool) -> None:
    assert equal(a, b, 0.1) is result
    assert equal(b, a, 0.1) is result
