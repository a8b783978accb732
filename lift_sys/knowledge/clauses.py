"""The rules for properties: ranges with a result, conditions, bounds of the result.

Owns which wordings state something about all arguments. Each becomes an expression over the
parameter and ``result``, and only where nothing else in the sentence limits it. Of two numbers that
bound a range, an end that could be meant either way is left out.
"""

from __future__ import annotations

from lift_sys.knowledge.examples import Draft, Found, opens
from lift_sys.knowledge.phrases import (
    ANSWER,
    GIVES,
    NOUNS,
    Phrases,
    Text,
    combine,
    empty_value,
    ends,
    literal,
    value,
)
from lift_sys.knowledge.tokens import Kind

_COMPARISONS = {
    ">": Phrases(*"above over > beyond".split(), *combine("more|greater|larger|higher", "than")),
    "<": Phrases(*"below under <".split(), *combine("less|fewer|smaller|lower", "than")),
    ">=": Phrases("at least", ">=", "not less than", "not below", "no less than"),
    "<=": Phrases("at most", "<=", "up to and including", "not more than", "no more than"),
    "==": Phrases("exactly", "==", "="),
}
_AFTER = {">=": Phrases("or more", "or above", "and above", "and over", "or higher", "or over"),
          "<=": Phrases("or less", "or below", "or fewer", "or lower", "and below")}  # fmt: skip
BOUND_STARTS = frozenset({"between", "from"}).union(*(p.firsts for p in _COMPARISONS.values()))
"""Words and signs with which a bound begins, if it does not begin with a number."""
_INCLUSIVE = Phrases("inclusive", "( inclusive )", ", inclusive")
_NUMBERS = frozenset("number integer value input argument n".split())
_RESULT = Phrases(
    "the result", "result", "the answer", "the output", "the return value", "the returned value",
    "the returned number",
)  # fmt: skip
_IS = Phrases(
    *combine("is|must be|should be|will be|has to be|lies|is always|must always be", ""),
    *combine("can be|should always be|is guaranteed to be", ""),
)
_NEVER = Phrases(
    *combine("is|can|must|should|will|may", "never|never be|not be"), "cannot be", "never"
)
CONDITION_STARTS = ANSWER.firsts | {"if", "when"}
"""Words with which ``conditional`` may begin."""
RESULT_STARTS = _RESULT.firsts
"""Words with which ``result_bound`` may begin."""
RANGE_STARTS = BOUND_STARTS | _NUMBERS | {"a", "the", "for"}
"""Words and signs with which ``ranged`` may begin, beside the parameters."""

Bound = tuple[str, int]
"""An expression with ``{}`` for what is bounded, and the position after it."""


def number_at(text: Text, i: int) -> str | None:
    """Return the number there, as written."""
    source = literal(text.at(i))
    return source if source and source.lstrip("-")[:1].isdigit() else None


def bound(text: Text, i: int) -> Bound | None:
    """Read "1 to 20", "between 1 and 20 inclusive", "at least 3", "3 or more", "above 5"."""
    token = text.at(i)
    if token is None or (token.kind is not Kind.LITERAL and token.text not in BOUND_STARTS):
        return None  # as at most positions
    between = text.is_word(i, {"between"})
    start = i + 1 if between or text.is_word(i, {"from"}) else i
    low, high = number_at(text, start), number_at(text, start + 2)
    joined = {"and"} if between else {"to", "through"}
    if low and high and text.is_word(start + 1, joined):
        after = _INCLUSIVE.match(text, start + 3)
        whole = "." not in low + high
        closed = after is not None or text.is_word(start + 1, {"through"})
        sign = "<=" if closed or (whole and not between) else "<"
        return f"{low} {sign} {{}} {sign} {high}", after or start + 3
    for sign, phrases in _COMPARISONS.items():
        j = phrases.match(text, i)
        number = number_at(text, j) if j is not None else None
        if j is not None and number:
            return f"{{}} {sign} {number}", j + 1
    number = number_at(text, i)
    for sign, phrases in _AFTER.items():
        j = phrases.match(text, i + 1) if number else None
        if j is not None:
            return f"{{}} {sign} {number}", j
    return None


def _only(text: Text) -> str | None:
    return text.parameters[0] if text.parameters and len(text.parameters) == 1 else None


def _is_parameter(text: Text, i: int) -> bool:
    return text.parameter(i) is not None or text.is_word(i, _NUMBERS)


def ranged(text: Text, i: int) -> Found | None:
    """Read "1 to 20 is 'low'", "more than 5 -> 'many'", "a limit below 1 gives []"."""
    if not opens(text, i) or text.is_word(i - 1, {"if", "when"}):
        return None
    start = i
    i = i + 1 if text.is_word(i, {"a", "the", "for"}) else i
    i = i + 1 if _is_parameter(text, i) else i
    found = bound(text, i)
    parameter = _only(text)
    if found is None:
        return None
    condition, j = found
    j = j + 1 if text.parameter(j) else j
    j = j + 1 if text.is_sign(j, (":",)) else j
    verb = GIVES.match(text, j)
    result = value(text, verb) if verb is not None else None
    if result is None:
        return None
    if parameter is None:
        return [Draft(start, result[1], reason="a range of one of several arguments")]
    return [_implies((start, result[1]), condition, parameter, result[0])]


def _implies(span: tuple[int, int], condition: str, parameter: str, expected: str) -> Draft:
    """Return an example where the condition fixes the argument, else a property."""
    if condition.startswith("{} == "):
        return Draft(*span, args=(condition.removeprefix("{} == "),), expected=expected)
    bounded = condition.format(parameter)
    return Draft(*span, predicate=f"result == {expected} if {bounded} else True")


def _condition(text: Text, i: int) -> Bound | None:
    """Read "n is less than 1", "the list is empty", "n == 0" of the only parameter."""
    j = i + 1 if text.is_word(i, {"the", "a", "an"}) else i
    noun = text.at(j)
    if not (text.parameter(j) or text.is_word(j, NOUNS)) or noun is None:
        return None
    j += 1
    compared = bound(text, j)
    if compared:
        return compared
    if not text.is_word(j, {"is", "equals"}):
        return None
    j += 1
    if text.is_word(j, {"empty"}):
        kinds = {"list": "[]", "string": "''", "text": "''", "sentence": "''", "dict": "{}"}
        source = kinds.get(noun.text)
        return (f"{{}} == {source}", j + 1) if source else None
    if text.is_word(j, {"zero"}):
        return "{} == 0", j + 1
    if text.is_word(j, {"negative", "positive"}):
        return "{} " + ("<" if text.is_word(j, {"negative"}) else ">") + " 0", j + 1
    compared = bound(text, j)
    if compared:
        return compared
    emptied = empty_value(text, j)
    source, j = emptied or (literal(text.at(j)), j + 1)
    return (f"{{}} == {source}", j) if source is not None else None


def _named_is(text: Text, i: int) -> int | None:
    """Read "the sum is" where the function is called after it, as ``sum_to`` is."""
    noun = text.at(i + 1)
    named = noun is not None and noun.text in text.name.lower().split("_")
    return i + 3 if named and text.is_word(i, {"the"}) and text.is_word(i + 2, {"is"}) else None


def conditional(text: Text, i: int) -> Found | None:
    """Read "if n is less than 1, the sum is 0", "return 'x' if n == 0"."""
    parameter = _only(text)
    if text.is_word(i, {"if", "when"}):
        if text.is_word(i - 1, {"otherwise", "else", "but", "and", "only"}):
            return None
        found = _condition(text, i + 1)
        if found is None:
            return None
        condition, j = found
        j = j + 1 if text.is_sign(j, (",", ":")) else j
        j = j + 1 if text.is_word(j, {"then"}) else j
        j = text.after_break(j)
        verb = ANSWER.match(text, j) or GIVES.match(text, j) or _named_is(text, j)
        result = value(text, verb) if verb is not None else None
        last = result[1] if result else 0
    else:
        verb = ANSWER.match(text, i)
        source = literal(text.at(verb)) if verb is not None else None
        if verb is None or source is None or not text.is_word(verb + 1, {"if", "when"}):
            return None
        found = _condition(text, verb + 2)
        if found is None or not ends(text, found[1]):
            return None
        condition, last = found
        result = (source, last)
    if result is None:
        return None
    if parameter is None:
        return [Draft(i, last, reason="a condition on one of several arguments")]
    return [_implies((i, last), condition, parameter, result[0])]


def result_bound(text: Text, i: int) -> Found | None:
    """Read "the result is between 0 and 59", "the answer is never negative"."""
    j = _RESULT.match(text, i)
    if j is None:
        return None
    never = _NEVER.match(text, j)
    after = never or _IS.match(text, j)
    if after is None:
        return None
    if text.is_word(after, {"negative"}) and ends(text, after + 1):
        return [Draft(i, after + 1, predicate="result >= 0" if never else "result < 0")]
    parts: list[str] = []
    while True:
        found = bound(text, after)
        if found is None:
            return None
        part = found[0].replace(" < ", " <= ") if "{} <" in found[0][1:] else found[0]
        parts.append(f"not ({part.format('result')})" if never else part.format("result"))
        again = found[1] + 1 if text.is_word(found[1], {"and", "or", "nor"}) else None
        after = (_NEVER.match(text, again) or again) if again else 0
        if again is None or bound(text, after) is None:
            last = found[1]
            break
    if not ends(text, last):
        return None
    return [Draft(i, last, predicate=" and ".join(parts))]
