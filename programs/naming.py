"""A name for a function whose spec comes without one.

Owns the reading of a name. Of several functions the first that is named is the one to write. A name
that the spec only gives in words is made of ASCII letters, which is what models repeat reliably:
accents are folded, and words in other scripts are left out.
"""

from __future__ import annotations

import keyword
import re
import unicodedata

_NAMED = re.compile(
    r"\b(?:named|called|function(?:\s+(?:named|called))?)\s+"
    r"[`'\"]?([A-Za-z_]\w*)[`'\"]?\s*(?=\(|[`'\"]|[,.:]|$)",
    re.ASCII,
)
_SNAKE = re.compile(r"\bfunction\s+(?:named|called)\s+([A-Za-z]\w*_\w*[A-Za-z0-9])\b", re.ASCII)
_CALLED = re.compile(r"`?\b([A-Za-z_]\w*)\([^()]*\)`?\s*(?:==|->|returns|=>)", re.ASCII)
_LISTED = re.compile(
    r"\b(?:functions|methods|helpers)\b[:,]?\s+(?:named\s+|called\s+)?[`'\"]?([A-Za-z_]\w*)"
    r"(?=[`'\"]?\s*\(|[`'\"])",
    re.ASCII,
)
_DEFINED = re.compile(r"\bdef\s+([A-Za-z_]\w*)\s*\(", re.ASCII)
_STOP = frozenset(
    "a an and as at be by called can create define for from function give given gives in into is "
    "it its me named of on or please program python returns return should takes take taking tells "
    "tell that the this to using want which with write you".split()
)
_WORDS_IN_NAME = 3


def function_name(spec: str) -> str:
    """Return the first name that the spec gives, else one made of its first telling words."""
    for pattern in (_DEFINED, _LISTED, _NAMED, _SNAKE, _CALLED):
        found = pattern.search(spec)
        if found and not keyword.iskeyword(found.group(1)) and found.group(1).lower() not in _STOP:
            return found.group(1)
    words = [w for w in re.findall(r"[a-z][a-z0-9]*", _folded(spec)) if w not in _STOP]
    name = "_".join(words[:_WORDS_IN_NAME])
    return name if name and not keyword.iskeyword(name) else "solution"


def _folded(text: str) -> str:
    """Return a text in lower case without accents: ``größte`` becomes ``grosste``."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))
