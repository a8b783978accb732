"""What identifies a caller's program, metric and model in a run: all that decides what they do.

Owns what of an object counts. Functions count by their code, defaults, closures and the values of
globals they name; objects by their class, its bases and their attributes; all of them by the source
files behind them and those of the modules that these import. The standard library, DSPy and our own
code count by name here. What cannot be read, such as an open connection, is never the same twice.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import inspect
import sys
import sysconfig
import threading
import uuid
from collections.abc import Iterator
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import dspy

from lift_sys.record import digest

OURS = {"lift_sys", "programs", "metrics", "optimizers"}

NAMED = sys.stdlib_module_names | OURS | {"dspy"}
"""Packages whose code counts by name: a run's key has the versions of Python, DSPy and ours."""

SCALARS = (type(None), bool, int, float, complex, str, type(...))

LEFT_OUT: dict[type, tuple[str, ...]] = {
    dspy.Module: ("callbacks", "history", "_compiled"),
    dspy.Predict: ("fields", "stage", "traces", "train", "demos"),
    dspy.BaseLM: ("callbacks", "history", "kwargs"),
    dspy.LM: (
        "cache", "num_retries", "provider", "finetuning_model", "launch_kwargs", "train_kwargs",
        "_async_engine_spec", "_providers", "_engine_store", "_engine_lock",
        "_warned_zero_temp_rollout",
    ),
}  # fmt: skip
"""Attributes that decide no answer, that differ by chance, or that are in a program's state."""

COMPILED = (".so", ".pyd")

INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("purelib", "platlib"))

LOCKS = (type(threading.Lock()), type(threading.RLock()))


def identity_of(*things: object) -> str:
    """Return what identifies programs, metrics or models: a SHA-256 of what decides what they do.

    Equal things give the same in every process. What has no source, as code typed into a session,
    or cannot be read, as a lock, is never the same twice.

    Args:
        things: Modules, functions, other callables, models.
    """
    reading = _Reading()
    return digest([reading.of(thing) for thing in things])


class _Reading:
    """One walk over objects; each is read once, however often it is met."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._modules: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._alive: list[Any] = []  # an id names a living object only

    def of(self, thing: Any) -> str:
        """Return what identifies a thing."""
        if type(thing) in SCALARS:
            return digest([type(thing).__name__, repr(thing)])
        if id(thing) not in self._known:
            self._known[id(thing)] = "met again inside of itself"
            self._alive.append(thing)
            self._known[id(thing)] = digest([type(thing).__name__, *self._parts(thing)])
        return self._known[id(thing)]

    def _parts(self, thing: Any) -> Iterator[Any]:
        match thing:
            case CodeType():
                return self._code(thing)
            case FunctionType():
                return self._function(thing)
            case MethodType():
                return map(self.of, (thing.__func__, thing.__self__))
            case ModuleType():
                return self._sources(thing.__name__)
            case BuiltinFunctionType():
                return self._builtin(thing)
            case type():
                return self._class(thing)
            case dspy.BaseLM() | dspy.Module():
                return self._attributes(thing)
            case _:
                return self._value(thing)

    def _value(self, thing: Any) -> Iterator[Any]:
        kind = type(thing)
        if kind in (bytes, bytearray):
            yield hashlib.sha256(thing).hexdigest()
        elif kind in (list, tuple):
            yield [self.of(item) for item in thing]
        elif kind is dict:
            yield [[self.of(key), self.of(value)] for key, value in thing.items()]
        elif kind in (set, frozenset):
            yield sorted(self.of(item) for item in thing)
        else:
            yield from self._object(thing)

    def _builtin(self, function: BuiltinFunctionType) -> Iterator[Any]:
        bound = function.__self__
        yield function.__qualname__
        yield bound.__name__ if isinstance(bound, ModuleType) else self.of(bound)

    def _code(self, code: CodeType) -> Iterator[Any]:
        yield [code.co_code.hex(), code.co_exceptiontable.hex(), code.co_flags]
        yield [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount]
        yield [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        yield [self.of(const) for const in code.co_consts]

    def _function(self, function: FunctionType) -> Iterator[Any]:
        yield from self._source(function)
        if not (_by_name(function) and function.__closure__ is None):
            yield self.of(function.__code__)
            yield [self.of(value) for value in (function.__defaults__, function.__kwdefaults__)]
            yield [self.of(_content(cell)) for cell in function.__closure__ or ()]
            yield self.of(vars(function))
        if not _by_name(function):
            names = sorted(set(_global_names(function.__code__)) & function.__globals__.keys())
            found = {name: function.__globals__[name] for name in names}
            yield [[name, self.of(value)] for name, value in found.items() if _settled(value)]

    def _class(self, cls: type) -> Iterator[Any]:
        if issubclass(cls, dspy.Signature):
            yield from self._signature(cls)
        for base in cls.__mro__:
            yield from self._source(base)
            if not _by_name(base):
                own = {name: _unwrapped(value) for name, value in vars(base).items()}
                yield [[name, self.of(value)] for name, value in own.items() if _settled(value)]

    def _signature(self, signature: type[dspy.Signature]) -> Iterator[Any]:
        yield signature.instructions
        for name, field in signature.fields.items():
            yield [name, self.of(field.annotation), str(field.json_schema_extra)]

    def _attributes(self, thing: dspy.Module | dspy.BaseLM) -> Iterator[Any]:
        yield self.of(type(thing))
        out = {n for kind, names in LEFT_OUT.items() if isinstance(thing, kind) for n in names}
        # The state of a program of ours is all that can differ, and its run counts it.
        own = {} if _is_ours(type(thing)) else vars(thing)
        yield [[name, self.of(own[name])] for name in own if name not in out]
        if isinstance(thing, dspy.BaseLM):
            kwargs = getattr(thing, "kwargs", {})
            yield sorted([n, self.of(value)] for n, value in kwargs.items() if "key" not in n)

    def _object(self, thing: Any) -> Iterator[Any]:
        """Yield what ``pickle`` would keep of an object: its class and its attributes."""
        if isinstance(thing, LOCKS) or type(thing).__module__.startswith("lift_sys.sandbox."):
            return
        try:
            reduce = copyreg.dispatch_table.get(type(thing))
            kept = reduce(thing) if reduce else thing.__reduce_ex__(4)
            if isinstance(kept, str):
                yield [kept, *self._sources(thing.__module__)]
                yield self.of(getattr(thing, "__wrapped__", None))
                return
            made, arguments, state, *items = (*kept, None)[:5]
            yield [self.of(part) for part in (made, arguments, state)]
            yield [self.of(list(part)) for part in items if part is not None]
        except Exception:  # noqa: BLE001 (an object's own code, which may raise anything)
            yield uuid.uuid4().hex

    def _source(self, thing: Any) -> Iterator[Any]:
        yield f"{thing.__module__}.{thing.__qualname__}"
        yield from self._sources(thing.__module__)

    def _sources(self, name: str) -> Iterator[Any]:
        """Yield the source of a module and of those of the same project that it imports."""
        if name not in self._modules:
            found, left = {}, {name}
            while left:
                module = left.pop()
                found[module] = self._text(module)
                left |= _imported(module) - found.keys()
            self._modules[name] = digest(found)
        yield self._modules[name]

    def _text(self, name: str) -> str:
        module = sys.modules.get(name)
        if _package(name) in NAMED or str(getattr(module, "__file__", "")).endswith(COMPILED):
            return name
        if name not in self._texts:
            try:
                self._texts[name] = digest(inspect.getsource(module)) if module else ""
            except (OSError, TypeError):
                self._texts[name] = ""
        return self._texts[name] or uuid.uuid4().hex


def _package(name: str) -> str:
    return name.partition(".")[0]


def _by_name(thing: Any) -> bool:
    return _package(thing.__module__ or "builtins") in NAMED


def _is_ours(cls: type) -> bool:
    return _package(cls.__module__) in OURS


def _imported(name: str) -> set[str]:
    """Return the modules that the names in a module come from, if they are not installed."""
    if not _is_project(name):
        return set()
    values = vars(sys.modules[name]).values()
    names = {v.__name__ if isinstance(v, ModuleType) else _module_of(v) for v in values}
    return {found for found in names if found and _is_project(found)}


def _module_of(thing: Any) -> str | None:
    found = getattr(thing, "__module__", None) if isinstance(thing, type | FunctionType) else None
    return found if isinstance(found, str) else None


def _is_project(name: str) -> bool:
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return _package(name) not in NAMED and bool(file) and not file.startswith(INSTALLED)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _global_names(const)


def _unwrapped(value: Any) -> Any:
    """Return the function behind a method of a class."""
    match value:
        case staticmethod() | classmethod():
            return value.__func__
        case property():
            return value.fget
        case functools.cached_property():
            return value.func
        case _:
            return value


def _settled(value: Any) -> bool:
    """Tell whether a value of a module or a class counts by what it is, beyond its source."""
    code = isinstance(value, FunctionType | functools.partial) or hasattr(value, "__wrapped__")
    return code or type(value) in SCALARS
