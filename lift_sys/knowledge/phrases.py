"""The small phrases a spec is made of: verbs that name a result, values, arguments, conditions.

Owns the vocabulary and how each phrase is matched. A matcher takes a text and a position among its
tokens; it returns what it found with the position after it, or None. All look ahead by a bounded
number of tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lift_sys.knowledge.tokens import Kind, Token

MAX_ITEMS = 12
"""Most literals that are read as one list in prose."""


@dataclass(frozen=True)
class Item:
    """A literal that is an argument.

    Attributes:
        source: Canonical source of the literal.
        parameter: The parameter it is said to be, if any.
    """

    source: str
    parameter: str | None = None


@dataclass(frozen=True)
class Text:
    """A spec as the rules see it.

    Attributes:
        spec: The text itself.
        tokens: Its tokens, in order.
        name: The function.
        parameters: Its parameters in order, or None where they are not known.
    """

    spec: str
    tokens: tuple[Token, ...]
    name: str
    parameters: tuple[str, ...] | None = None
    lowered: frozenset[str] = field(init=False)
    lists: dict[int, tuple[list[Item], int] | None] = field(init=False, default_factory=dict)
    """The lists of literals that were looked for, by where they begin."""

    def __post_init__(self) -> None:
        names = frozenset(p.lower() for p in self.parameters or ())
        object.__setattr__(self, "lowered", names)

    def at(self, i: int) -> Token | None:
        """Return the token at a position, or None outside the text."""
        return self.tokens[i] if 0 <= i < len(self.tokens) else None

    def is_sign(self, i: int, texts: tuple[str, ...]) -> bool:
        """Tell whether one of the given signs stands there."""
        token = self.at(i)
        return token is not None and token.kind is Kind.SIGN and token.text in texts

    def is_word(self, i: int, words: Iterable[str]) -> bool:
        """Tell whether one of the words stands there."""
        # The rules ask this of every token, and of its neighbours.
        token = self.tokens[i] if 0 <= i < len(self.tokens) else None
        return token is not None and token.kind is Kind.WORD and token.text in words

    def is_kind(self, i: int, *kinds: Kind) -> bool:
        """Tell whether a token of one of the kinds stands there."""
        token = self.at(i)
        return token is not None and token.kind in kinds

    def after_break(self, i: int) -> int:
        """Return the position after one line break, if one stands there."""
        return i + 1 if self.is_kind(i, Kind.BREAK) else i

    def parameter(self, i: int) -> str | None:
        """Return the parameter that is named there."""
        token = self.at(i)
        if token is None or token.kind is not Kind.WORD or token.text not in self.lowered:
            return None
        return next(p for p in self.parameters or () if p.lower() == token.text)


class Phrases:
    """A set of phrases, of which the longest that stands at a position is found."""

    def __init__(self, *phrases: str) -> None:
        self._tree: dict[str, Any] = {}
        for phrase in phrases:
            node = self._tree
            for word in phrase.split():
                node = node.setdefault(word, {})
            node[""] = {}

    @property
    def firsts(self) -> frozenset[str]:
        """The words with which a phrase of the set begins."""
        return frozenset(self._tree)

    def match(self, text: Text, i: int) -> int | None:
        """Return the position after the phrase; line breaks may stand between its words."""
        tokens, node, found = text.tokens, self._tree, None
        if not 0 <= i < len(tokens) or tokens[i].text not in node:
            return None  # as at most positions
        while i < len(tokens):
            token = tokens[i]
            if token.kind is Kind.BREAK and node is not self._tree:
                if tokens[i - 1].kind is Kind.BREAK:
                    break
                i += 1
                continue
            following = node.get(token.text)
            if following is None:
                break
            node, i = following, i + 1
            found = i if "" in node else found
        return found


def combine(starts: str, ends: str) -> list[str]:
    """Return every first part followed by every second part; parts are separated by ``|``."""
    pairs = itertools.product(starts.split("|"), ends.split("|"))
    return [f"{a} {b}".strip() for a, b in pairs]


_SHOULD = "should|must|will|shall|has to|have to|would"
GIVES = Phrases(
    *"gives give returns return yields yield produces becomes become equals means mean".split(),
    *combine(_SHOULD, "give|return|yield|produce|become|equal|be|evaluate to|result in"),
    *"-> --> => → ⇒ ↦ is are".split(),
    *combine("is|are|should be|must be", "equal to|mapped to|converted to|turned into"),
    *combine("is|are|should be", "shown as|written as|logged as|printed as|displayed as"),
    *combine("evaluates|results|turns|maps", "to|in|into"),
    *combine("evaluate|result|turn|map", "to|in|into"),
    "comes out as",
)
"""Stands between arguments and their result."""

_RESULT = "the answer|the result|the output|the return value|it|this|that|the function|the call"
ANSWER = Phrases(
    *combine(_RESULT, "is|gives|returns|should be|must be|has to be|will be|should return|equals"),
    *combine(_RESULT, "must return|has to return|should give|will return|becomes|yields"),
    *"return returns answer give".split(),
    *combine("you|we|then|should|must|simply|just", "get|return|returns|answer|give"),
)
"""Says that the result comes next; what it is the result of was said before."""

INTRO = Phrases(
    *combine(
        "the|the exact|the literal|exactly the|a|an|just the",
        "string|text|word|value|number|integer|int|float|list|tuple|dict|boolean|letter",
    ),
    *"exactly just simply only".split(),
    *combine("always|exactly", "the string|"),
    *"a an the".split(),
)
"""May stand before a literal without changing what is said."""

_EMPTY_KINDS = {
    "list": "[]", "array": "[]", "string": "''", "text": "''", "sentence": "''", "line": "''",
    "str": "''", "tuple": "()", "dict": "{}", "dictionary": "{}",
}  # fmt: skip
_CONDITIONAL = frozenset(
    "if when where unless but except for or instead depending only provided in at of with after "
    "before times per percent plus minus not the a an".split()
)
_GOES_ON = frozenset(
    "so thus hence then too because since while whereas again otherwise else as".split()
)
_NEW_CLAUSE = frozenset(
    "exactly for if when with everything anything all any otherwise an a given".split()
)
NOUNS = frozenset(
    "list string text number integer value word input argument letter sentence tuple dict".split()
)
"""What the only argument of a function may be called."""


def literal(token: Token | None) -> str | None:
    """Return the source of a literal token, if it is one."""
    return token.text if token is not None and token.kind is Kind.LITERAL else None


def empty_value(text: Text, i: int) -> tuple[str, int] | None:
    """Read "an empty list" and the like as a value."""
    j = i + 1 if text.is_word(i, {"an", "the"}) else i
    kind = text.at(j + 1)
    if text.is_word(j, {"empty"}) and kind is not None and kind.text in _EMPTY_KINDS:
        return _EMPTY_KINDS[kind.text], j + 2
    return None


def value(text: Text, i: int) -> tuple[str, int] | None:
    """Read a result that stands alone: a literal, or "an empty list", and then a boundary."""
    i = text.after_break(i)
    i = text.after_break(INTRO.match(text, i) or i)
    source = literal(text.at(i))
    found = (source, i + 1) if source is not None else empty_value(text, i)
    return found if found and ends(text, found[1]) else None


def ends(text: Text, i: int) -> bool:
    """Tell whether a value before this position is the whole of what is said, unconditionally."""
    token = text.at(i)
    if token is None or token.kind is Kind.STOP:
        return True
    after = text.after_break(i + 1)
    if token.kind is Kind.BREAK:
        return not text.is_word(i + 1, _CONDITIONAL - {"the", "a", "an", "for", "with"})
    if token.kind is Kind.SIGN:
        if token.text != ",":
            return token.text in {";", ")", "|", "#", "("}
        if text.is_kind(after, Kind.LITERAL):
            return starts_clause(text, after)
        return not text.is_word(after, _CONDITIONAL - {"the", "a", "an", "for", "with", "in"})
    if token.text == "and":
        if text.is_kind(after, Kind.LITERAL):
            return starts_clause(text, after)
        return text.is_kind(after, Kind.CALL) or text.is_word(after, _NEW_CLAUSE)
    return token.text in _GOES_ON


def starts_clause(text: Text, i: int) -> bool:
    """Tell whether the literals that begin here are what another clause speaks of."""
    found = literals(text, i)
    if found is None:
        return False
    j = text.after_break(found[1])
    if text.is_word(j, {"to", "through", "or", "has", "have"}) or text.parameter(j):
        return True
    return GIVES.match(text, j) is not None


def item(text: Text, i: int) -> tuple[Item, int] | None:
    """Read one argument: ``3``, ``n = 3``, "a limit of 3", "the limit 3", "3 pieces"."""
    j = i + 1 if text.is_word(i, {"a", "an", "the"}) else i
    parameter = text.parameter(j)
    if parameter:
        j += 1
        if text.is_sign(j, ("=", "==")) or text.is_word(j, {"of", "is"}):
            j += 1
        source = literal(text.at(j))
        return (Item(source, parameter), j + 1) if source is not None else None
    emptied = empty_value(text, i)
    if emptied:
        return Item(emptied[0]), emptied[1]
    if text.is_word(j, NOUNS) and text.is_kind(j + 1, Kind.LITERAL):
        j += 1
    source = literal(text.at(j))
    if source is None:
        return None
    parameter = text.parameter(j + 1)
    if parameter:
        return Item(source, parameter), j + 2
    return Item(source), j + 1


def literals(text: Text, i: int) -> tuple[list[Item], int] | None:
    """Read arguments separated by commas, "and" or "or"."""
    if i not in text.lists:
        text.lists[i] = _literals(text, i)
    return text.lists[i]


def _literals(text: Text, i: int) -> tuple[list[Item], int] | None:
    first = item(text, i)
    if first is None:
        return None
    found, j = [first[0]], first[1]
    while len(found) < MAX_ITEMS:
        after = separator(text, j)
        following = item(text, after) if after is not None else None
        if following is None:
            break
        found.append(following[0])
        j = following[1]
    return found, j


def separator(text: Text, i: int) -> int | None:
    """Return the position after ``,``, "and", "or" or ``, and``."""
    j = i + 1 if text.is_sign(i, (",",)) else i
    j = text.after_break(j)
    j = j + 1 if text.is_word(j, {"and", "or", "with"}) else j
    return j if j > i and not (j == i + 1 and text.is_kind(i, Kind.BREAK)) else None
