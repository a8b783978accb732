"""The rules for properties: ranges with a result, conditions, bounds of the result, literal sets.

Owns which wordings state something about all arguments. Each becomes an expression over the
parameter and ``result``, and only where nothing else in the sentence limits it. Of two numbers that
bound a range, an end that could be meant either way is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from lift_sys.knowledge.examples import Draft, Found, opens
from lift_sys.knowledge.phrases import (
    ANSWER,
    GIVES,
    INTRO,
    MAX_ITEMS,
    NOUNS,
    Phrases,
    Text,
    combine,
    empty_value,
    ends,
    literal,
    starts_clause,
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
_ONE_OF = Phrases(
    *combine("return|returns|the result is|the answer is|the output is", "one of|either"),
    *combine("must return|should return|is always|result must be", "one of|either"),
)
_OTHERWISE = frozenset("otherwise else".split())
_REST = Phrases(
    "anything else", "everything else", "all others", "all other", "any other", "the rest",
    "all the rest", "every other",
)  # fmt: skip

Bound = tuple[str, int]
"""An expression with ``{}`` for what is bounded, and the position after it."""


def _number(text: Text, i: int) -> str | None:
    source = literal(text.at(i))
    return source if source and source.lstrip("-")[:1].isdigit() else None


def bound(text: Text, i: int) -> Bound | None:
    """Read "1 to 20", "between 1 and 20 inclusive", "at least 3", "3 or more", "above 5"."""
    between = text.is_word(i, {"between"})
    start = i + 1 if between or text.is_word(i, {"from"}) else i
    low, high = _number(text, start), _number(text, start + 2)
    joined = {"and"} if between else {"to", "through"}
    if low and high and text.is_word(start + 1, joined):
        after = _INCLUSIVE.match(text, start + 3)
        whole = "." not in low + high
        closed = after is not None or text.is_word(start + 1, {"through"})
        sign = "<=" if closed or (whole and not between) else "<"
        return f"{low} {sign} {{}} {sign} {high}", after or start + 3
    for sign, phrases in _COMPARISONS.items():
        j = phrases.match(text, i)
        number = _number(text, j) if j is not None else None
        if j is not None and number:
            return f"{{}} {sign} {number}", j + 1
    number = _number(text, i)
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
    i = i + 1 if text.is_word(i, {"a", "the", "for", "and"}) else i
    i = i + 1 if _is_parameter(text, i) else i
    found = bound(text, i)
    parameter = _only(text)
    if found is None:
        return None
    condition, j = found
    j = j + 1 if text.parameter(j) else j
    j = j + 1 if text.is_sign(j, ":") else j
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
    """Read "if n is less than 1, the sum is 0", "return 'x' if n == 0", "when x is None return 0"."""
    parameter = _only(text)
    if text.is_word(i, {"if", "when"}):
        if text.is_word(i - 1, {"otherwise", "else", "but", "and", "only"}):
            return None
        found = _condition(text, i + 1)
        if found is None:
            return None
        condition, j = found
        j = j + 1 if text.is_sign(j, ", :") else j
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


def one_of(text: Text, i: int) -> Found | None:
    """Read "returns one of 'low', 'ok' or 'high'", "returns either True or False"."""
    j = _ONE_OF.match(text, i)
    verb = ANSWER.match(text, i)
    after = j or verb
    found = _choice(text, after) if after is not None else None
    if found is None or not ends(text, found[1]):
        return None
    return [Draft(i, found[1], values=tuple(found[0]))]


def _choice(text: Text, i: int) -> tuple[list[str], int] | None:
    """Read literals of which the last comes after "or"."""
    j = i + 1 if text.is_sign(i, ":") else i
    sources: list[str] = []
    joined_by_or = False
    while len(sources) < MAX_ITEMS:
        source = literal(text.at(j))
        if source is None:
            return None
        sources.append(source)
        j += 1
        if joined_by_or or not (text.is_sign(j, ",") or text.is_word(j, {"or"})):
            break
        joined_by_or = text.is_word(j, {"or"}) or text.is_word(j + 1, {"or"})
        j = text.after_break(j + 2 if text.is_sign(j, ",") and joined_by_or else j + 1)
    return (sources, j) if joined_by_or and len(sources) > 1 else None


def closed_set(text: Text) -> Draft | None:
    """Return the set of all results, where every clause of the spec gives a literal.

    A spec counts as closed if it says which literal is given otherwise (or speaks of True and False
    alone), no verb that names a result is followed by something else, and every quoted literal is
    a result or what a clause speaks of.
    """
    sources: dict[str, None] = {}
    spans: list[int] = []
    rest = pending = unread = False
    for i, token in enumerate(text.tokens):
        if pending and token.kind is Kind.STOP:
            return None  # what happens otherwise is no literal
        pending |= _begins_rest(text, i)
        verb = _NAMES_RESULT.match(text, i) or (GIVES.match(text, i) if pending else None)
        if verb and _is_about(text, i) and _literal_after(text, verb) is None:
            return None
        if token.kind is not Kind.LITERAL:
            continue
        if _is_result(text, i):
            sources[token.text] = None
            spans += [i, i + 1]
            rest |= pending or text.is_word(i + 1, _OTHERWISE) or _for_the_rest(text, i)
            pending = False
        elif token.text[0] in "'\"":
            unread |= not _is_subject(text, i)
    binary = sources.keys() == {"True", "False"}
    if not binary and (unread or not rest or len(sources) < 2):  # noqa: PLR2004 (a choice)
        return None
    return Draft(min(spans), max(spans), values=tuple(sources))


_NAMES_RESULT = Phrases(
    *"return returns gives give answer answers -> --> => → ⇒".split(),
    *combine("the answer|the result|the output", "is|should be|must be"),
)
_RESULT_FOLLOWS = frozenset("if when otherwise else".split())
_IF_IT = Phrases(*combine("if|when", "it is|this is|that is|the character is"))


def _for_the_rest(text: Text, i: int) -> bool:
    """Tell whether "for the rest" or the like follows the literal there."""
    return text.is_word(i + 1, {"for"}) and _REST.match(text, i + 2) is not None


def _begins_rest(text: Text, i: int) -> bool:
    """Tell whether what happens otherwise is said from here on; ``'b' otherwise`` said it before."""
    if _REST.match(text, i) is not None:
        return not (text.is_kind(i - 2, Kind.LITERAL) and text.is_word(i - 1, {"for"}))
    after = text.after_break(i + 2 if text.is_sign(i + 1, ",") else i + 1)
    trails = text.is_kind(i - 1, Kind.LITERAL)
    return text.is_word(i, _OTHERWISE) and not trails and not text.is_word(after, {"if", "when"})


def _is_about(text: Text, i: int) -> bool:
    """Tell whether "return" or "the answer" there speaks of a result, as "a return" does not."""
    return not text.is_word(i - 1, {"a", "the", "to"})


def _literal_after(text: Text, i: int) -> str | None:
    return literal(text.at(INTRO.match(text, i) or i))


def _is_result(text: Text, i: int) -> bool:
    """Tell whether the literal there is a result: a verb before it says so, or a condition after it."""
    follows = text.is_word(i + 1, _RESULT_FOLLOWS) or _for_the_rest(text, i)
    closes = follows or ends(text, i + 1) or text.is_word(i + 1, {"for", "instead"})
    if not closes or _follows(text, i, _IF_IT):
        return False
    said = any(_follows(text, i, verbs) for verbs in (_NAMES_RESULT, GIVES, ANSWER, _OTHER))
    return said or follows


_OTHER = Phrases("otherwise", "otherwise ,", "else", "anything else :", "anything else ->")


def _follows(text: Text, i: int, verbs: Phrases) -> bool:
    """Tell whether a phrase, or a phrase and an introduction, ends at this position."""
    for first in range(max(i - 5, 0), i):
        after = verbs.match(text, first)
        if after is not None and (INTRO.match(text, after) or after) == i or after == i:
            return True
    return False


def _is_subject(text: Text, i: int) -> bool:
    """Tell whether the literal there is an argument or part of a condition, not a result."""
    return _follows(text, i, _IF_IT) or opens(text, i) and starts_clause(text, i)


def hints(text: Text, covered: Sequence[tuple[int, int]]) -> list[Draft]:
    """Return the clauses that say something about values but that no other rule could read."""
    found: list[Draft] = []
    done = bytearray(len(text.tokens) + 1)
    for first, last in covered:
        done[first:last] = b"\1" * (last - first)
    first = 0
    for i in range(len(text.tokens) + 1):
        token = text.at(i)
        stop = token is None or token.kind in {Kind.STOP, Kind.BREAK} or text.is_sign(i, ";")
        if not stop:
            continue
        open_tokens = [j for j in range(first, i) if not done[j]]
        reason = next((r for j in open_tokens if (r := _tells(text, j))), None)
        if reason:
            found.append(Draft(open_tokens[0], open_tokens[-1] + 1, reason=reason))
        first = i + 1
    return found


_ORDER = Phrases(
    *combine("in|in exactly", "that order|this order|the order"), "check first", "in order",
    "same order", "original order",
)  # fmt: skip


def _tells(text: Text, i: int) -> str | None:
    """Say why a clause with this token is worth a hint."""
    if _REST.match(text, i) or text.is_word(i, _OTHERWISE):
        return "what happens otherwise"
    if _ORDER.match(text, i):
        return "an order"
    if bound(text, i) and not _number(text, i):
        return "a range"
    if text.is_word(i, {"exactly"}):
        return "something exact"
    if text.is_kind(i, Kind.LITERAL) and text.tokens[i].text[:1] in "'\"":
        return "a quoted literal"
    return None
