"""The rules for sets of results, and what is left: hints.

Owns when a spec names all results there are, and which clauses that no rule could read are worth a
hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lift_sys.knowledge.clauses import BOUND_STARTS, bound, number_at
from lift_sys.knowledge.examples import Draft, Found, opens
from lift_sys.knowledge.phrases import (
    ANSWER,
    GIVES,
    INTRO,
    MAX_ITEMS,
    Phrases,
    Text,
    combine,
    ends,
    literal,
    starts_clause,
)
from lift_sys.knowledge.tokens import Kind

_ONE_OF = Phrases(
    *combine("return|returns|the result is|the answer is|the output is", "one of|either"),
    *combine("must return|should return|is always|result must be", "one of|either"),
)
_OTHERWISE = frozenset("otherwise else".split())
_REST = Phrases(
    "anything else", "everything else", "all others", "all other", "any other", "the rest",
    "all the rest", "every other",
)  # fmt: skip
CHOICE_STARTS = _ONE_OF.firsts | ANSWER.firsts
"""Words with which ``one_of`` may begin."""


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
    j = i + 1 if text.is_sign(i, (":",)) else i
    sources: list[str] = []
    joined_by_or = False
    while len(sources) < MAX_ITEMS:
        source = literal(text.at(j))
        if source is None:
            return None
        sources.append(source)
        j += 1
        if joined_by_or or not (text.is_sign(j, (",",)) or text.is_word(j, {"or"})):
            break
        joined_by_or = text.is_word(j, {"or"}) or text.is_word(j + 1, {"or"})
        j = text.after_break(j + 2 if text.is_sign(j, (",",)) and joined_by_or else j + 1)
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
        if token.text in _SAYING_STARTS:  # as few do
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
    if not binary and (unread or not rest or len(sources) < 2):
        return None
    return Draft(min(spans), max(spans), values=tuple(sources))


_NAMES_RESULT = Phrases(
    *"return returns gives give answer answers -> --> => → ⇒".split(),
    *combine("the answer|the result|the output", "is|should be|must be"),
)
_SAYING_STARTS = _REST.firsts | _OTHERWISE | _NAMES_RESULT.firsts | GIVES.firsts
_RESULT_FOLLOWS = frozenset("if when otherwise else".split())
_IF_IT = Phrases(*combine("if|when", "it is|this is|that is|the character is"))


def _for_the_rest(text: Text, i: int) -> bool:
    """Tell whether "for the rest" or the like follows the literal there."""
    return text.is_word(i + 1, {"for"}) and _REST.match(text, i + 2) is not None


def _begins_rest(text: Text, i: int) -> bool:
    """Tell whether what comes otherwise is said from here on; "'b' otherwise" said it before."""
    if _REST.match(text, i) is not None:
        before = text.at(i - 2)
        said = before is not None and (
            before.kind is Kind.LITERAL or before.text.endswith(("error", "exception"))
        )
        return not (said and text.is_word(i - 1, {"for"}))
    if not text.is_word(i, _OTHERWISE) or text.is_kind(i - 1, Kind.LITERAL):
        return False
    after = text.after_break(i + 2 if text.is_sign(i + 1, (",",)) else i + 1)
    return not text.is_word(after, {"if", "when"})


def _is_about(text: Text, i: int) -> bool:
    """Tell whether "return" or "the answer" there speaks of a result, as "a return" does not."""
    return not text.is_word(i - 1, {"a", "the", "to"})


def _literal_after(text: Text, i: int) -> str | None:
    return literal(text.at(INTRO.match(text, i) or i))


def _is_result(text: Text, i: int) -> bool:
    """Tell whether the literal there is a result: by a verb before it, or a condition after it."""
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
        if after is not None and i in {after, INTRO.match(text, after)}:
            return True
    return False


def _is_subject(text: Text, i: int) -> bool:
    """Tell whether the literal there is an argument or part of a condition, not a result."""
    return _follows(text, i, _IF_IT) or (opens(text, i) and starts_clause(text, i))


class Clause(NamedTuple):
    """A piece of a sentence that may be worth a hint.

    Attributes:
        first: Its first token.
        last: The position after its last one.
        telling: The tokens for which it may be worth one, with the reason.
    """

    first: int
    last: int
    telling: tuple[tuple[int, str], ...]


def clauses_of(text: Text) -> list[Clause]:
    """Return the clauses that say something about values."""
    found: list[Clause] = []
    telling: list[tuple[int, str]] = []
    first = 0
    for i, token in enumerate(text.tokens):
        if _ends_clause(text, i):
            found.append(Clause(first, i, tuple(telling)))
            first, telling = i + 1, []
        elif token.text in _TELLING_STARTS or token.kind is Kind.LITERAL:  # as few do
            reason = _tells(text, i)
            telling += [(i, reason)] if reason else []
    found.append(Clause(first, len(text.tokens), tuple(telling)))
    return [clause for clause in found if clause.telling]


def hints(clauses: Sequence[Clause], covered: Sequence[tuple[int, int]]) -> list[Draft]:
    """Return what clauses say about values in tokens that no other rule could read."""
    read = {i for first, last in covered for i in range(first, last)}
    found: list[Draft] = []
    for clause in clauses:
        reason = next((why for i, why in clause.telling if i not in read), None)
        if reason:
            left = [i for i in range(clause.first, clause.last) if i not in read]
            found.append(Draft(left[0], left[-1] + 1, reason=reason))
    return found


def _ends_clause(text: Text, i: int) -> bool:
    """Tell whether a sentence, a part of it or a line ends there; a wrapped line does not."""
    token = text.tokens[i]
    if token.kind is Kind.WORD:
        return False  # as most tokens are
    if token.kind is not Kind.BREAK:
        return token.kind is Kind.STOP or (token.kind is Kind.SIGN and token.text == ";")
    following = text.at(i + 1)
    if following is None or following.kind is not Kind.WORD:
        return True
    return not text.spec[following.start].islower()


_ORDER = Phrases(
    *combine("in|in exactly", "that order|this order|the order"), "check first", "in order",
    "same order", "original order",
)  # fmt: skip

_ERROR = Phrases(
    "raise", "raises", "an error", "exception", "exceptions", "instead of failing", "cannot fail",
    *combine("must|should|may|does", "not fail|not raise|never fail"),
)  # fmt: skip
_EDGE = Phrases(
    "empty", "blank", *combine("only|just|exactly", "one item|one element|one character")
)
_POSITION = Phrases(
    "position", "positions", "index", "next to", "directly before", "directly after",
    *combine("count|counts|counted|counting", "from"),
    *combine("at the", "start|end|beginning|front|back"),
    *combine("from the", "left|right|start|end|front|back"),
)  # fmt: skip


_TELLING = (
    (_REST, "what happens otherwise"),
    (Phrases(*sorted(_OTHERWISE)), "what happens otherwise"),
    (_ORDER, "an order"),
)
_TELLING_LESS = (
    (Phrases("exactly"), "something exact"),
    (_ERROR, "how errors are handled"),
    (_POSITION, "a position"),
    (Phrases("both"), "distinct operations"),
    (_EDGE, "an edge case"),
)


_TELLING_STARTS = BOUND_STARTS.union(*(p.firsts for p, _ in (*_TELLING, *_TELLING_LESS)))


def _tells(text: Text, i: int) -> str | None:
    """Say why a clause with this token is worth a hint."""
    token = text.tokens[i]
    told = next((reason for phrases, reason in _TELLING if phrases.match(text, i)), None)
    if told:
        return told
    if bound(text, i) and not number_at(text, i):
        return "a range"
    told = next((reason for phrases, reason in _TELLING_LESS if phrases.match(text, i)), None)
    if not told and token.kind is Kind.LITERAL and token.text[:1] in "'\"":
        return "a quoted literal"
    return told
