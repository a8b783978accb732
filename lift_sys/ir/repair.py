"""Taking off what models put around an assertion.

Owns the repairs, each of them seen in answers of real models or close to one that was: list
markers, fences, ``assert`` with or without a message, a comment, a label, a stray quote or bracket
at the end, a reason after the expression, and other words or signs for ``==``. A repair never adds
to a value: what was cut off stays unreadable, since a guess could be wrong.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_STRAY = "\"'`)]},.;:"
"""What may stand at the end without belonging to the expression."""
_MOST_STRAY = 3
_MARKER = re.compile(r"(?:>>>|\d+[.)]|[-*•])\s+")
_LABEL = re.compile(
    r"(?!(?:if|elif|else|otherwise|when|while|unless|for)\b)[A-Za-z][\w ]{0,30}:\s+", re.IGNORECASE
)
"""A name for what follows; a condition is none, since without it the expression says more."""
_REASON = re.compile(r"[,;]?\s+(?:because|since|as)\s.*|\s+//\s.*", re.DOTALL)
_EQUALS = re.compile(
    r"\s*(?:===|-+>|=>|→|⇒|(?<![=!<>:])=(?!=))\s*"
    r"|\s+(?:(?:should|must|will)\s+(?:return|be|equal|give)|returns|equals|gives|yields"
    r"|is\s+equal\s+to|evaluates\s+to|results\s+in)\s+"
)


def normalise(predicate: str) -> str:
    """Return the expression that a predicate means; text that means none, stripped."""
    text = _bare(predicate)
    for candidate in _candidates(text):
        expression = _expression(candidate)
        if expression is not None:
            return _without_comment(candidate, expression)
    return text


def _bare(predicate: str) -> str:
    """Return a predicate without fence, list marker and ``assert``."""
    text = predicate.strip().strip("`").strip().removeprefix("python\n").strip()
    text = text[_length(_MARKER, text) :]
    if not re.match(r"assert\b", text):
        return text.rstrip(";").strip()
    try:
        statement = ast.parse(text.rstrip(";")).body[0]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text.removeprefix("assert").strip()
    return ast.unparse(statement.test) if isinstance(statement, ast.Assert) else text


def _candidates(text: str) -> Iterator[str]:
    """Yield the text, then what it may mean, from the least change to the most."""
    unlabelled = text[_length(_LABEL, text) :].replace("`", "")
    # A line break inside quotes was an escape that JSON has already read.
    escaped = text.replace("\n", "\\n")
    for base in dict.fromkeys([text, escaped, unlabelled, _REASON.sub("", unlabelled)]):
        for cut in _without_stray_end(base):
            yield cut
            yield from _comparisons(cut)


def _without_stray_end(text: str) -> Iterator[str]:
    yield text
    for _ in range(_MOST_STRAY):
        if not text or text[-1] not in _STRAY:
            return
        text = text[:-1].rstrip()
        yield text


def _comparisons(text: str) -> Iterator[str]:
    """Yield a call and its result as a comparison, wherever a sign or a word for it stands."""
    for sign in _EQUALS.finditer(text):
        left, right = text[: sign.start()], text[sign.end() :]
        if isinstance(_expression(left), ast.Call) and _expression(right) is not None:
            yield f"{left} == {right}"


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _without_comment(text: str, expression: ast.expr) -> str:
    """Return the text of an expression without its quotes, its message or a comment after it."""
    match expression:
        case ast.Constant(value=str(inner)) if _expression(inner) is not None:
            return inner
        case ast.Tuple(elts=[ast.Compare() as comparison]):
            return ast.unparse(comparison)
        case ast.Tuple(elts=[ast.Compare() as comparison, ast.Constant(value=str())]) if (
            not _compares_text(comparison)  # else "f(1) == 'a', 'b'" may mean a tuple
        ):
            return ast.unparse(comparison)
    after = text.encode()[expression.end_col_offset or 0 :].lstrip()
    one_line = "\n" not in text and after.startswith(b"#")
    return text.encode()[: expression.end_col_offset].decode() if one_line else text


def _compares_text(comparison: ast.Compare) -> bool:
    last = comparison.comparators[-1]
    return isinstance(last, ast.Constant) and isinstance(last.value, str)


def _length(pattern: re.Pattern[str], text: str) -> int:
    """Return how much of the start of a text a pattern matches."""
    found = pattern.match(text)
    return found.end() if found else 0
