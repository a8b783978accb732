"""The rules for examples: calls, doctests, tables, and arguments followed by their result.

Owns which wordings state an example. A rule gives drafts; whether a draft can be executed is
decided by ``lift_sys.knowledge.constraints``.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass

from lift_sys.knowledge.phrases import (
    ANSWER,
    GIVES,
    MAX_ITEMS,
    NOUNS,
    Item,
    Phrases,
    Text,
    combine,
    empty_value,
    ends,
    item,
    literal,
    literals,
    value,
)
from lift_sys.knowledge.tokens import Kind


@dataclass(frozen=True)
class Draft:
    """Something that a rule found; tokens from ``first`` up to, not including, ``last``.

    Attributes:
        call: Source of a call of the function; or
        args: Sources of its positional arguments.
        expected: Source of its result; or
        raises: Name of the exception it raises.
        predicate: Instead of all these: an expression over the parameters and ``result``.
        values: Instead: sources of the only results there are.
        reason: Instead: why it cannot be executed.
    """

    first: int
    last: int
    call: str | None = None
    args: tuple[str, ...] | None = None
    expected: str | None = None
    raises: str | None = None
    predicate: str | None = None
    values: tuple[str, ...] | None = None
    reason: str | None = None


Found = list[Draft]

_RAISES = Phrases(
    "raises", "raise", "throws", *combine("should|must|will|has to", "raise|throw"), "to raise"
)
_CALL_GIVES = Phrases("=", "==", ":", "# ->", "# =>", "#", "# ==", "# returns", "evaluates to")
_OPENING = frozenset(
    "so that e.g. i.e. example instance for given with thus hence then both and but while like "
    "because assert only input in on if when say as".split()
)
_NAMING = NOUNS | {"list", "the"}
"""Words that may stand between what opens an example and its arguments, as parameters may."""
_PREPOSITIONS = frozenset("for given with in on if when input".split())
REVERSED_STARTS = ANSWER.firsts | _RAISES.firsts | {"an", "the", "empty"}
"""Words with which ``reversed_example`` may begin."""
IMPLIED_STARTS = _PREPOSITIONS | NOUNS | {"a", "an", "the", "both", "empty"}
"""Words with which ``implied`` may begin, beside the parameters."""

_PAIR = 2
_LONGEST_NAME = 20
"""Most words that may name the arguments between what opens an example and these."""
_LONGEST_GAP = 40
"""Most tokens between the arguments and "the answer is"."""


def exception(text: Text, i: int) -> tuple[str, int] | None:
    """Read "raises ValueError"."""
    j = _RAISES.match(text, i)
    if j is None:
        return None
    j = j + 1 if text.is_word(j, {"a", "an"}) else j
    token = text.at(j)
    name = text.spec[token.start : token.end] if token and token.kind is Kind.WORD else ""
    kind = getattr(builtins, name, None)
    known = isinstance(kind, type) and issubclass(kind, Exception)
    return (name, j + 1) if known and (ends(text, j + 1)) else None


def call(text: Text, i: int) -> Found | None:
    """Read ``f(3) == 9``, ``f(3) raises ValueError``, ``9 == f(3)``, "f(1) and f(2) give 3"."""
    if text.is_kind(i, Kind.LITERAL) and text.is_sign(i + 1, ("==",)):
        after, source = text.at(i + 2), literal(text.at(i))
        if after is not None and after.kind is Kind.CALL and ends(text, i + 3):
            return [Draft(i, i + 3, call=after.text, expected=source)]
    calls: list[str] = []
    j = i
    while text.is_kind(j, Kind.CALL) and len(calls) < MAX_ITEMS:
        calls.append(text.tokens[j].text)
        j += 1
        joined = text.is_word(j, {"and"}) or text.is_sign(j, (",",))
        if joined and text.is_kind(j + 1, Kind.CALL):
            j += 1
    if not calls or (i > 0 and _is_operator(text, i - 1)):
        return None
    if text.is_sign(j, (")",)):  # the call itself stands in brackets, as in ``print(f(3))``
        j += 1
    raised = exception(text, j)
    if raised:
        return [Draft(i, raised[1], call=c, raises=raised[0]) for c in calls]
    j = j + 1 if text.is_word(j, {"both", "all", "each"}) else j
    verb = _CALL_GIVES.match(text, j) or GIVES.match(text, text.after_break(j))
    found = value(text, verb) if verb else None
    return [Draft(i, found[1], call=c, expected=found[0]) for c in calls] if found else None


def _is_operator(text: Text, i: int) -> bool:
    token = text.at(i)
    signs = token is not None and token.kind is Kind.SIGN and token.text not in ",;:(|#*)\"'"
    return signs or text.is_word(i, {"not", "in", "len"})


def opens(text: Text, i: int) -> bool:
    """Tell whether what is before this position lets arguments begin here."""
    for before in range(i - 1, i - 2 - _LONGEST_NAME, -1):
        token = text.at(before)
        if token is None or token.kind is Kind.STOP or token.kind is Kind.BREAK:
            return True
        if token.kind is Kind.SIGN:
            return token.text in {",", ";", ":", "(", "*", "|"}
        if token.kind is not Kind.WORD:
            return False
        if token.text not in _NAMING and token.text not in text.lowered:
            return token.text in _OPENING
    return False


def arrange(
    text: Text, items: Sequence[Item], *, each: bool = False
) -> list[tuple[str, ...]] | None:
    """Return the argument lists that the items stand for, or None where that is ambiguous.

    Args:
        text: The spec; its parameters decide.
        items: In the order in which they are written.
        each: Whether several items may be several calls.
    """
    parameters = text.parameters
    if not parameters:
        return None
    named = {i.parameter: i.source for i in items if i.parameter}
    free = [i.source for i in items if not i.parameter]
    if len(named) + len(free) != len(items):
        return None
    count = len(parameters)
    if count == 1 and not named and (len(free) == 1 or each):
        return [(source,) for source in free]
    if len(items) == 1 and free and count > 1 and free[0].startswith("("):
        return [(free[0],)]  # a tuple of all arguments; unpacked where it is built
    if len(items) != count or (named and len(free) > 1):
        return None
    rest = iter(free)
    return [tuple(named[p] if p in named else next(rest) for p in parameters)]


def implied(text: Text, i: int) -> Found | None:
    """Read "[1, 2, 3] gives [3, 5]", "for 3 the answer is 9", "with a limit of 8, 'ab' is 'a'"."""
    if not opens(text, i):
        return None
    start = i
    both = text.is_word(i, {"both"})
    i += both
    preposition = text.is_word(i - 1, _PREPOSITIONS) or text.is_word(i, _PREPOSITIONS)
    i = i + 1 if text.is_word(i, _PREPOSITIONS) else i
    found = literals(text, i)
    if found is None:
        return None
    items, j = found
    after = text.after_break(j + 1 if text.is_sign(j, (",",)) else j)
    result = _result(text, j, GIVES) or _named_result(text, j)
    shown = text.is_word(i - 1, {"instance", "example", "e.g."})
    if result is None and shown:
        result = _far_answer(text, after)
    if result is None and preposition:
        result = _result(text, after, ANSWER)
        if result is None and all(i.parameter for i in items):
            result = _far_answer(text, after)
        more = item(text, after) if result is None and after > j and items[0].parameter else None
        if more:
            items, j = [*items, more[0]], more[1]
            result = _result(text, j, GIVES)
    if result is None:
        return None
    each = both or len(items) > _PAIR or text.is_word(j, {"mean"})
    calls = arrange(text, items, each=each)
    if calls is None:
        return [Draft(start, result[1], reason="an example whose arguments are not clear")]
    return [Draft(start, result[1], args=a, expected=result[0]) for a in calls]


def _result(text: Text, i: int, verbs: Phrases) -> tuple[str, int] | None:
    j = verbs.match(text, text.after_break(i))
    return value(text, j) if j is not None else None


def _named_result(text: Text, i: int) -> tuple[str, int] | None:
    """Read "has depth 2" where the function is called after it, as ``nesting_depth`` is."""
    noun = text.at(i + 1)
    if noun is None or not text.is_word(i, {"has", "have"}):
        return None
    return value(text, i + 2) if noun.text in text.name.lower().split("_") else None


def _far_answer(text: Text, i: int) -> tuple[str, int] | None:
    """Find "the answer is" later in the sentence that begins with the arguments."""
    for j in range(i, i + _LONGEST_GAP):
        if text.is_kind(j, Kind.STOP) or text.at(j) is None:
            return None
        if text.is_word(j, {"the"}) and text.is_word(j + 1, {"answer", "result", "output"}):
            return _result(text, j, ANSWER)
    return None


def reversed_example(text: Text, i: int) -> Found | None:
    """Read "return 5 for None", "0 for an empty list", "raise ValueError for -1"."""
    raised = _RAISES.match(text, i)
    j = raised if raised else i
    verb = ANSWER.match(text, i)
    if raised:
        token = text.at(j)
        name = text.spec[token.start : token.end] if token else ""
        if not hasattr(builtins, name):
            return None
        j += 1
        expected = None
    else:
        j = verb or i
        if not verb and not opens(text, i):
            return None
        emptied = empty_value(text, j)
        expected, j = emptied or (literal(text.at(j)), j + 1)
        if expected is None:
            return None
        name = None
    if not text.is_word(j, {"for"}):
        return None
    found = literals(text, j + 1)
    if found is None or not ends(text, found[1]):
        return None
    calls = arrange(text, found[0], each=True)
    if calls is None:
        return [Draft(i, found[1], reason="an example whose arguments are not clear")]
    return [Draft(i, found[1], args=a, expected=expected, raises=name) for a in calls]
