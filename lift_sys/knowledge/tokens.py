"""A spec's text as tokens with spans.

Owns what counts as a Python literal, a call of the function, a word and the end of a sentence in
prose. One pass with one expression, whose repetitions are bounded, so the time is linear. Nothing
is evaluated; a bracketed token only looks like a literal, and whoever uses it parses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

MAX_LITERAL_CHARS = 2_000
"""Longest call or bracketed literal that is read as one token, in characters."""

_ESCAPE = r"\\(?:[\\'\"abfnrtv0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
_LEXEME = re.compile(
    rf"""
    (?P<string>(?<!\w)[bB]?(?:'(?:[^'\\\n]|{_ESCAPE}){{0,300}}'|"(?:[^"\\\n]|{_ESCAPE}){{0,300}}")
        (?![\w'"]))
  | (?P<word>(?:e\.g\.|i\.e\.|etc\.)|[^\W\d]\w*(?:['\u2019-][^\W\d]+)*)[^\S\n]*
  | (?P<fence>```[^\n`]*)
  | (?P<prompt>(?<![^\n])[ \t]*>>>|(?<![^\n])[ \t]*\.\.\.(?=[ ]))
  | (?P<curly>“[^“”\n]{{0,300}}”|(?<!\w)\u2018[^\u2018\u2019\n]{{0,300}}\u2019(?!\w))
  | (?P<grouped>(?<![\w.,])[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,9}}(?![\w,]))
  | (?P<number>(?:(?<![\w.)\]'"])-)?(?<![\w.])(?:0|[1-9][0-9]{{0,30}})(?:\.[0-9]{{1,30}})?
        (?:[eE][+-]?[0-9]{{1,3}})?(?![\w%]|\.[0-9]))
  | (?P<arrow>-{{1,2}}>|=>|→|⇒|↦)
  | (?P<sign>\.{{3}}|…|==|!=|<=|>=|[0-9]\w*)
  | (?P<stop>[.!?](?=[\s)]|$))
  | (?P<break>\n)
  | (?P<space>[^\S\n]+|`)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS = frozenset({"True", "False", "None"})
_BUILT = frozenset({"set", "frozenset"})
_PAIRS = {")": "(", "]": "[", "}": "{"}


class Kind(StrEnum):
    """What a token is."""

    LITERAL = "literal"
    CALL = "call"
    WORD = "word"
    ARROW = "arrow"
    SIGN = "sign"
    PROMPT = "prompt"
    STOP = "stop"
    BREAK = "break"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text.

    Attributes:
        kind: What it is.
        text: As Python source for literals and calls; otherwise as written, words in lower case.
        start: Where it begins in the spec, in characters.
        end: Where it ends, exclusive.
        code: Whether it stands in a fenced block.
    """

    kind: Kind
    text: str
    start: int
    end: int
    code: bool = False


def tokenize(spec: str, name: str) -> tuple[Token, ...]:
    """Return the tokens of a spec in order; white space and backticks are left out.

    Args:
        spec: Any text.
        name: The function whose calls become tokens.
    """
    raw = list(_lexemes(spec))
    groups = _groups(raw)
    tokens: list[Token] = []
    i = 0
    tried = -1  # a group that is too long or not plain was opened up to here
    while i < len(raw):
        close, plain = groups.get(i, (None, False))
        call = groups.get(i + 1, (None, False))[0] if _opens_call(raw, i) else None
        token, end = raw[i], i
        if call is not None and _fits(raw, i, call):
            if spec[token.start : token.end] == name and not _is_definition(tokens):
                token, end = _merge(spec, raw, i, call, Kind.CALL), call
            elif token.text in _BUILT and groups[i + 1][1]:
                token, end = _merge(spec, raw, i, call, Kind.LITERAL), call
        elif close is not None and plain and i > tried and _fits(raw, i, close):
            if not _follows_operand(raw, i):
                token, end = _merge(spec, raw, i, close, Kind.LITERAL), close
            tried = close
        tokens.append(token)
        i = end + 1
    return tuple(tokens)


def _lexemes(spec: str) -> Iterator[Token]:
    code = False
    for found in _LEXEME.finditer(spec):
        group = str(found.lastgroup)
        text, start, end = found[group], *found.span(group)
        kind = _KINDS.get(group)
        if group == "fence":
            code = not code
        elif group == "curly":
            yield Token(Kind.LITERAL, repr(text[1:-1]), start, end, code)
        elif group == "word":
            if text in _CONSTANTS:
                yield Token(Kind.LITERAL, text, start, end, code)
            else:
                yield Token(Kind.WORD, text.lower(), start, end, code)
        elif kind is not None:
            yield Token(kind, text, start, end, code)


_KINDS = {
    "prompt": Kind.PROMPT,
    "string": Kind.LITERAL,
    "number": Kind.LITERAL,
    "grouped": Kind.SIGN,
    "arrow": Kind.ARROW,
    "sign": Kind.SIGN,
    "stop": Kind.STOP,
    "break": Kind.BREAK,
    "other": Kind.SIGN,
}


def _groups(raw: list[Token]) -> dict[int, tuple[int, bool]]:
    """Return, for every bracket that is closed, its partner and whether it holds literals only.

    Round brackets hold literals only if they are a tuple: prose puts single values in them too.
    """
    found: dict[int, tuple[int, bool]] = {}
    stack: list[list[int]] = []  # index, whether plain, commas
    for i, token in enumerate(raw):
        if token.kind is Kind.SIGN and token.text in _PAIRS.values():
            stack.append([i, 1, 0])
        elif token.kind is Kind.SIGN and token.text in _PAIRS:
            if not stack or raw[stack[-1][0]].text != _PAIRS[token.text]:
                stack.clear()
                continue
            start, plain, commas = stack.pop()
            is_tuple = token.text != ")" or commas > 0
            built = start > 0 and raw[start - 1].text in _BUILT and _touch(raw, start - 1)
            found[start] = (i, bool(plain) and (is_tuple or built))
            if stack and not plain:
                stack[-1][1] = 0
        elif stack:
            stack[-1][2] += token.kind is Kind.SIGN and "," in token.text
            if not _is_plain(token):
                stack[-1][1] = 0
    return found


def _is_plain(token: Token) -> bool:
    if token.kind is Kind.SIGN:
        return token.text in {",", ":"} or token.text[0].isdigit()
    return token.kind in {Kind.LITERAL, Kind.BREAK} or token.text in _BUILT


def _opens_call(raw: list[Token], i: int) -> bool:
    follows = i + 1 < len(raw) and raw[i + 1].text == "("
    return raw[i].kind is Kind.WORD and follows and _touch(raw, i)


def _touch(raw: list[Token], i: int) -> bool:
    return raw[i].end == raw[i + 1].start


def _fits(raw: list[Token], first: int, last: int) -> bool:
    return raw[last].end - raw[first].start <= MAX_LITERAL_CHARS


def _is_definition(tokens: list[Token]) -> bool:
    """Tell whether a call would be a definition, or of another's attribute."""
    last = tokens[-1] if tokens else None
    return last is not None and (last.text == "def" or (last.kind, last.text) == (Kind.SIGN, "."))


def _follows_operand(raw: list[Token], i: int) -> bool:
    """Tell whether a bracket directly follows what it calls or subscripts."""
    if i == 0 or not _touch(raw, i - 1):
        return False
    return raw[i - 1].kind is Kind.WORD or raw[i - 1].text in {")", "]"}


def _merge(spec: str, raw: list[Token], first: int, last: int, kind: Kind) -> Token:
    start, end = raw[first].start, raw[last].end
    return Token(kind, spec[start:end], start, end, raw[first].code)
