"""The rules for examples whose meaning lies in the layout: doctests, tables, input and output.

Owns the reading of lines. What a line holds is read by ``lift_sys.knowledge.examples``.
"""

from __future__ import annotations

import ast

from lift_sys.knowledge.examples import Draft, Found, arrange
from lift_sys.knowledge.phrases import Item, Text, literal
from lift_sys.knowledge.tokens import Kind, Token

_RESULT_NAMES = frozenset("result output returns return expected answer".split())
INPUT_STARTS = frozenset({"input"})
"""Words with which ``input_and_output`` may begin."""
_OUTPUT = frozenset({"output", "result"})
_MAX_LINES = 60
"""Most lines of one doctest or table."""
_MAX_SOURCE = 2_000
"""Longest source or answer of a doctest, in characters."""


def line(text: Text, i: int) -> tuple[list[Token], int]:
    """Return the tokens up to the end of the line, and the position after its end."""
    j = i
    while (token := text.at(j)) is not None and token.kind is not Kind.BREAK:
        j += 1
    return list(text.tokens[i:j]), j + 1


def _source(text: Text, tokens: list[Token]) -> str:
    return text.spec[tokens[0].start : tokens[-1].end] if tokens else ""


def doctest(text: Text, i: int) -> Found | None:
    """Read ``>>> f(3)`` and the line after it, which may be a traceback."""
    token = text.at(i)
    if token is None or token.kind is not Kind.PROMPT:
        return None
    tokens, j = line(text, i + 1)
    source = _source(text, tokens)
    for _ in range(_MAX_LINES):
        if not text.is_kind(j, Kind.PROMPT) or not text.tokens[j].text.strip().startswith("..."):
            break
        tokens, j = line(text, j + 1)
        source += "\n" + _source(text, tokens)
    answer, last = line(text, j)
    shown = _source(text, answer)
    first = answer[0] if answer else None
    if first is None or first.kind is Kind.PROMPT or len(source) + len(shown) > _MAX_SOURCE:
        return [Draft(i, j - 1, reason="a doctest without an answer")]
    if first.text == "traceback":
        return _traceback(text, i, source, last)
    return _said(i, last - 1, source, shown)


def _said(first: int, last: int, source: str, shown: str) -> Found:
    try:
        body = ast.parse(source.strip(), mode="eval").body
        answer, written = ast.literal_eval(shown.strip()), ast.unparse(body)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return [Draft(first, last, reason="a doctest that is more than one expression")]
    if isinstance(body, ast.Call) and isinstance(body.func, ast.Name):
        return [Draft(first, last, call=written, expected=shown.strip())]
    if answer is True:
        return [Draft(first, last, predicate=written)]
    return [Draft(first, last, predicate=f"({written}) == {shown.strip()}")]


def _traceback(text: Text, first: int, source: str, i: int) -> Found:
    """Read the exception's name from the last line of a traceback."""
    for _ in range(_MAX_LINES):
        tokens, after = line(text, i)
        if not tokens or tokens[0].kind is Kind.PROMPT:
            break
        name = text.spec[tokens[0].start : tokens[0].end]
        if name[:1].isupper() and (len(tokens) == 1 or tokens[1].text == ":"):
            return [Draft(first, after - 1, call=source.strip(), raises=name)]
        i = after
    return [Draft(first, i - 1, reason="a doctest whose exception is not named")]


def table(text: Text, i: int) -> Found | None:
    """Read a table of arguments and results, whose columns ``|`` separates."""
    if not text.is_kind(i - 1, Kind.BREAK) and i > 0:
        return None
    tokens, j = line(text, i)
    header = [c[0].text if len(c) == 1 else "" for c in _cells(tokens)]
    if len(header) < 2 or header[-1] not in _RESULT_NAMES:
        return None
    rows: Found = []
    for _ in range(_MAX_LINES):
        tokens, after = line(text, j)
        cells = _cells(tokens)
        if len(cells) != len(header):
            break
        sources = [literal(c[0]) if len(c) == 1 else None for c in cells]
        rows += _row(text, header[:-1], sources, (j, after - 1))
        j = after
    return [Draft(i, j - 1, reason="the head of a table"), *rows] if rows else None


def _row(text: Text, names: list[str], sources: list[str | None], span: tuple[int, int]) -> Found:
    known = [s for s in sources if s is not None]
    if len(known) < len(sources):
        ruled = all(s is None for s in sources)
        return [] if ruled else [Draft(*span, reason="a row that is not all literals")]
    only = len(text.parameters or ()) == 1 == len(names)
    by_name = {p.lower(): p for p in text.parameters or ()}
    items = [
        Item(source, None if only else by_name.get(name))
        for name, source in zip(names, known, strict=False)
    ]
    calls = arrange(text, items) if only or all(i.parameter for i in items) else None
    if calls is None:
        return [Draft(*span, reason="a row whose columns are not the parameters")]
    return [Draft(*span, args=calls[0], expected=known[-1])]


def _cells(tokens: list[Token]) -> list[list[Token]]:
    """Split a line at ``|``; empty where it is no row."""
    cells: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind is Kind.SIGN and token.text == "|":
            cells.append([])
        else:
            cells[-1].append(token)
    if len(cells) == 1:
        return []
    cells = cells if cells[0] else cells[1:]
    return cells if cells and cells[-1] else cells[:-1]


def input_and_output(text: Text, i: int) -> Found | None:
    """Read "Input: nums = [1, 2], k = 3", "Output: 5" on two lines or one."""
    if not (text.is_word(i, INPUT_STARTS) and text.is_sign(i + 1, (":", "="))):
        return None
    items: list[Item] = []
    j = i + 2
    while text.at(j) is not None and len(items) <= len(text.parameters or ()):
        parameter = text.parameter(j)
        j = j + 2 if parameter and text.is_sign(j + 1, ("=", ":")) else j
        source = literal(text.at(j))
        if source is None:
            return None
        items.append(Item(source, parameter))
        j += 1
        if not text.is_sign(j, (",",)) or text.is_word(j + 1, _OUTPUT):
            break
        j = text.after_break(j + 1)
    j = j + 1 if text.is_sign(j, (",", ";", "|")) or text.is_kind(j, Kind.ARROW) else j
    j = text.after_break(j)
    if not (text.is_word(j, _OUTPUT) and text.is_sign(j + 1, (":", "="))):
        return None
    expected = literal(text.at(j + 2))
    calls = arrange(text, items)
    if expected is None:
        return None
    if calls is None:
        return [Draft(i, j + 3, reason="an example whose arguments are not clear")]
    return [Draft(i, j + 3, args=calls[0], expected=expected)]
