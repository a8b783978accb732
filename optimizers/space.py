"""The space of a search: the dimensions of a point, and when each of them makes a difference.

Owns how a point is asked for and completed. What the dimensions are is the caller's business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from lift_sys.record import digest

Point = dict[str, Any]
"""A value for each dimension, by its path."""


class Suggests(Protocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        ...


@dataclass(frozen=True)
class Dimension:
    """One thing that is searched.

    Attributes:
        path: Of a hyper, or a name of the search's own, e.g. ``demos``.
        choices: At least one, in a fixed order; the first is taken where it makes no difference.
        needs: Values that earlier dimensions must have for this one to make a difference, by path;
            all of them must hold.
    """

    path: str
    choices: tuple[Any, ...]
    needs: Mapping[str, tuple[Any, ...]]

    def matters(self, point: Point) -> bool:
        """Tell whether this dimension makes a difference at a point that has the earlier ones."""
        return all(point[path] in values for path, values in self.needs.items())


@dataclass(frozen=True)
class SearchSpace:
    """The dimensions of a search, in the order in which they are asked for."""

    dimensions: tuple[Dimension, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all dimensions, choices and conditions."""
        return digest([[d.path, d.choices, sorted(d.needs.items())] for d in self.dimensions])

    @cached_property
    def size(self) -> int:
        """Number of different points that ``suggest`` can return.

        Of a dimension that conditions look at, only which of them a value meets is kept in mind,
        so that the count takes no longer for many choices.
        """
        counts: Counter[tuple[tuple[str, Any], ...]] = Counter({(): 1})
        for place, d in enumerate(self.dimensions):
            later = self.dimensions[place + 1 :]
            needed = {path for other in later for path in other.needs}
            longer: Counter[tuple[tuple[str, Any], ...]] = Counter()
            for seen, count in counts.items():
                values = dict.fromkeys(d.choices) if d.matters(dict(seen)) else d.choices[:1]
                for value in values:
                    point = {**dict(seen), d.path: _alike(d, value, later)}
                    longer[tuple((p, v) for p, v in point.items() if p in needed)] += count
            counts = longer
        return counts.total()

    def suggest(self, trial: Suggests) -> Point:
        """Ask a trial for a point."""
        point: Point = {}
        for d in self.dimensions:
            if d.matters(point):
                point[d.path] = trial.suggest_categorical(d.path, d.choices)
            else:
                point[d.path] = d.choices[0]
        return point

    def complete(self, point: Mapping[str, Any]) -> Point:
        """Return a point of this space: what is missing or not a choice becomes the first one."""
        return {
            d.path: point[d.path] if point.get(d.path) in d.choices else d.choices[0]
            for d in self.dimensions
        }


def _alike(dimension: Dimension, value: Any, later: Sequence[Dimension]) -> Any:
    """Return the first choice that meets the same later conditions as a value does."""
    conditions = [d.needs[dimension.path] for d in later if dimension.path in d.needs]
    met = [value in values for values in conditions]
    return next(c for c in dimension.choices if [c in values for values in conditions] == met)


def make_space(
    choices: Mapping[str, Sequence[Any]], needs: Mapping[str, Mapping[str, Sequence[Any]]]
) -> SearchSpace:
    """Return a space.

    Args:
        choices: By path, in order; a dimension comes no earlier than those it needs.
        needs: What a dimension needs to make a difference; see ``Dimension``.
    """
    made: dict[str, Dimension] = {}

    def place(path: str) -> None:
        needed = {p: tuple(values) for p, values in needs.get(path, {}).items()}
        for earlier in needed:
            if earlier not in made:
                place(earlier)
        made[path] = Dimension(path, tuple(choices[path]), needed)

    for path in choices:
        if path not in made:
            place(path)
    return SearchSpace(tuple(made.values()))
