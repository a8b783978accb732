"""What a worker does before its first candidate, so that no child has to do it.

The interpreter specialises bytecode and fills caches the first times that something is done. What
the zygote did before it forks, its children share; what they do first themselves costs each of
them a copy of every page it is written to. Standard library only: this module is loaded inside.
"""

from __future__ import annotations

import marshal
import os
import types

from lift_sys.sandbox.candidate import MODULE_NAME, run

_CODE = """
def f(words, rows):
    counts = {}
    for word in words.split():
        counts[word] = counts.get(word, 0) + 1
    text = "".join(c for c in words.lower() if c.isalnum())
    ordered = sorted(set(rows), key=lambda x: -x)
    while len(ordered) > 2 and text:
        ordered.pop()
    if not rows:
        raise ValueError("empty")
    return [list(r) for r in zip(ordered, rows)], counts, text == text[::-1], 1.5, None
"""
_ARGUMENTS: tuple[tuple[str, list[int]], ...] = (("a b a", [3, 1, 2]), ("", []), ("x", [5]))
_TIMES = 10  # the interpreter specialises a function after eight calls


def warm_up() -> None:
    """Run a small submission as a child does, several times; what it writes is thrown away."""
    calls = tuple((marshal.dumps(arguments), (), True) for arguments in _ARGUMENTS)
    submission = marshal.dumps((_CODE, "f", (), calls))
    for _ in range(_TIMES):
        source, inner_source = os.pipe()
        inner_sink, sink = os.pipe()
        os.write(inner_source, submission)
        os.close(inner_source)
        run(source, sink, types.ModuleType(MODULE_NAME))
        for descriptor in (source, inner_sink, sink):
            os.close(descriptor)
