"""The inputs on which candidates are compared with each other.

Owns their choice: the arguments of visible cases and of example assertions, then boundary values
and small values for the parameters' types. The same task, IR and code give the same inputs. What
they should give is not known; only whether candidates agree on it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import islice

from lift_sys.ir.lint import lint_ir
from lift_sys.ir.models import SpecIR
from lift_sys.ir.types import python_type
from lift_sys.literals import literal_type
from lift_sys.tasks import TaskView
from programs.cleaning import signature_of

MAX_PROBES = 24
"""Most inputs in all."""

MAX_KNOWN = 12
"""Most inputs taken from cases and assertions, so that generated ones always have room."""

_MAX_DEPTH = 3  # containers inside each other; each level makes the values five times as large
_MOST_OF_A_TUPLE = 5
_SCALARS = {
    "int": ("0", "1", "-1", "2", "10"),
    "str": ("''", "'a'", "'Ab c'", "'12'", "'abba'"),
    "float": ("0.0", "1.5", "-2.5", "10.0"),
    "bool": ("True", "False"),
    "bytes": ("b''", "b'ab'"),
}
_MEMBERS = {"list": "int", "tuple": "int", "set": "int", "frozenset": "int", "dict": "str"}
"""What a container holds (a dict: as keys, with integers as values) where its hint does not say."""

_PICKS = ((), (1,), (2, 0, 1), (1, 1, 3), (4, 3, 2, 1, 0))
"""Which of its members' values a container holds: none, one, out of order, one twice, all."""


def probe_inputs(view: TaskView, ir: SpecIR | None, code: str) -> tuple[str, ...]:
    """Return literal texts of argument tuples, at most ``MAX_PROBES``, each once.

    Args:
        view: The task; its visible cases come first.
        ir: Its example assertions come next, and its type hints give the rest.
        code: Its annotations stand in for the hints where there is no IR.

    Returns:
        Nothing generated where a parameter's type is unknown and no known input shows a value
        for it.
    """
    asserted = [f.args for _, f in lint_ir(ir) if f.args is not None] if ir else []
    known = list(dict.fromkeys([*(case.args for case in view.visible), *asserted]))
    signature = ir.signature if ir else signature_of(code, str(view.entry_point))
    generated: Iterator[str] = iter(())
    if signature is not None:
        hints = [p.type_hint for p in signature.parameters]
        pools = [values_for(hint) or _seen(known, place) for place, hint in enumerate(hints)]
        generated = (text for text in _rows(pools) if literal_type(text) is tuple)
    distinct = dict.fromkeys([*known[:MAX_KNOWN], *generated])
    return tuple(islice(distinct, MAX_PROBES))


def values_for(hint: str) -> tuple[str, ...]:
    """Return literal texts of a few values of a type; none where the type is not known."""
    return tuple(dict.fromkeys(_values(ast.parse(python_type(hint), mode="eval").body, 0)))


def _values(node: ast.expr, depth: int) -> tuple[str, ...]:
    if depth > _MAX_DEPTH:
        return ()
    match node:
        case ast.Constant(value=None):
            return ("None",)
        case ast.Name(id=name) if name in _SCALARS:
            return _SCALARS[name]
        case ast.Name(id=name) if name in _MEMBERS:
            return _containers(name, [_SCALARS[_MEMBERS[name]], _SCALARS["int"]])
        case ast.BinOp(left=left, right=right):
            return _values(left, depth) + _values(right, depth)
        case ast.Subscript(value=ast.Name(id=name), slice=inner):
            nodes = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            members = [_values(n, depth + 1) for n in nodes if not _is_ellipsis(n)]
            if name == "tuple" and len(members) == len(nodes):
                return tuple(islice(dict.fromkeys(_rows(members)), _MOST_OF_A_TUPLE))
            return _containers(name, [*members, _SCALARS["int"]])
    return ()


def _containers(name: str, members: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return containers of the first member's values; a dict maps them to the second's."""
    keys, values = members[:2]
    if not keys or not values:
        return ()
    texts = []
    for pick in _PICKS:
        held = [keys[i % len(keys)] for i in pick]
        if name == "dict":
            mapped = [values[i % len(values)] for i in reversed(pick)]
            held = [f"{key}: {value}" for key, value in zip(held, mapped, strict=True)]
        texts.append(_container(name, held))
    return tuple(texts)


def _container(name: str, held: Sequence[str]) -> str:
    inside = ", ".join(held)
    match name:
        case "list":
            return f"[{inside}]"
        case "tuple":
            return _tuple(held)
        case "dict":
            return f"{{{inside}}}"
        case "set":
            return f"{{{inside}}}" if held else "set()"
    return f"frozenset({{{inside}}})" if held else "frozenset()"


def _tuple(held: Sequence[str]) -> str:
    return f"({', '.join(held)}{',' if len(held) == 1 else ''})"


def _rows(pools: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return tuples of one value from each pool, every value early and in changing company.

    Pools are read along a diagonal and then along ever steeper ones: for pools of one prime length
    each pair of values meets once before any meets again, which a product in order takes much
    longer to do.
    """
    if not all(pools):
        return
    longest = max(map(len, pools), default=1)
    for shift in range(longest):
        for row in range(longest):
            yield _tuple([p[(row + shift * place) % len(p)] for place, p in enumerate(pools)])


def _seen(known: Sequence[str], place: int) -> tuple[str, ...]:
    """Return the values that known inputs have at a place."""
    rows = [ast.parse(args.strip(), mode="eval").body for args in known]
    elements = [row.elts for row in rows if isinstance(row, ast.Tuple)]
    return tuple(dict.fromkeys(ast.unparse(e[place]) for e in elements if place < len(e)))


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
