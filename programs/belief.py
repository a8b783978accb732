"""How much a held or a broken assertion says about a candidate: a calibrated posterior.

Owns the formula and where its counts come from: ``precision.json`` beside this file, which
``benchmarks/precision.py`` writes from runs on train.

For an assertion of kind k (example or property) that a model wrote, let

    q_k = P(holds | the code is right),   r_k = P(holds | the code is wrong),

each the mean of a Beta(1, 1) prior after the counts of train. The posterior that code is right is

    log odds = log(R / W) + t * sum over derived assertions of
               log(q_k / r_k)              where it held,
               log((1 - q_k) / (1 - r_k))  where it did not,

R and W being the right and the wrong codes of train, each plus one: all of them where nothing is
stated, those on which everything stated holds where something is. Code that breaks something stated
is wrong by definition: its posterior is 0.

With t = 1 this is naive Bayes (Maron 1961). Assertions of one IR are not independent: they come
from one reading of the spec. The temper t in [0, 1] makes up for that, one number fitted by maximum
likelihood as a temperature is (Guo et al. 2017, arXiv 1706.04599; ``programs.calibration``). That
agreement with generated tests selects among generated code is the idea of CodeT (Chen et al. 2022,
arXiv 2207.10397), where every test has one vote. Here a wrong assertion cannot veto right code:
what it takes away is bounded by what such assertions were worth on train.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from lift_sys.ir.lint import Kind
from lift_sys.record import Record, Versioned
from lift_sys.sandbox.assertions import Held


class Codes(Record):
    """Codes of train, counted.

    Attributes:
        right: Those that passed every hidden case.
        wrong: The others.
    """

    right: int = 0
    wrong: int = 0

    @property
    def log_odds(self) -> float:
        """Of a code being right, with one code of each sort added."""
        return math.log((self.right + 1) / (self.wrong + 1))


class Votes(Record):
    """Derived assertions of one kind, counted over the codes of train that they were run on.

    Attributes:
        right_held: On right codes: those that held.
        right_total: On right codes: all.
        wrong_held: On wrong codes: those that held.
        wrong_total: On wrong codes: all.
    """

    right_held: int = 0
    right_total: int = 0
    wrong_held: int = 0
    wrong_total: int = 0

    def log_ratio(self, ok: bool) -> float:
        """Return how much more likely this outcome is on right code than on wrong code."""
        q = (self.right_held + 1) / (self.right_total + 2)
        r = (self.wrong_held + 1) / (self.wrong_total + 2)
        return math.log(q / r) if ok else math.log((1 - q) / (1 - r))


class Precision(Record):
    """Derived assertions of one kind, run on the references: how many are true.

    Attributes:
        held: Those that held.
        total: All.
    """

    held: int = 0
    total: int = 0


class Reliability(Record):
    """What the derived assertions of one model are worth. Without counts they are worth nothing.

    Attributes:
        codes: All codes.
        standing: Codes with stated assertions, all of which held.
        example: Example assertions.
        property: Properties.
        temper: Exponent of the likelihood, in [0, 1].
        precision: By kind, for the reader; the posterior does not use it.
    """

    codes: Codes = Codes()
    standing: Codes = Codes()
    example: Votes = Votes()
    property: Votes = Votes()
    temper: float = 1.0
    precision: dict[Kind, Precision] = {}  # noqa: RUF012 (pydantic copies it)

    def posterior(self, held: Sequence[Held]) -> float:
        """Return the chance that a candidate is right, in [0, 1].

        Args:
            held: The assertions run on its code. Which of them are stated is told by provenance.
        """
        stated = [h.ok for h in held if h.provenance == "stated"]
        if not all(stated):
            return 0.0
        prior = self.standing if stated else self.codes
        return _logistic(prior.log_odds + self.temper * self.evidence(held))

    def evidence(self, held: Sequence[Held]) -> float:
        """Return the sum of the derived assertions' log likelihood ratios, untempered."""
        ratios = (
            (self.property if h.kind is Kind.PROPERTY else self.example).log_ratio(h.ok)
            for h in held
            if h.provenance == "derived"
        )
        return math.fsum(ratios)


class Measured(Versioned):
    """The content of ``precision.json``.

    Attributes:
        data_sha256: Of the task file on which was counted.
        tasks: How many tasks of it had a row.
        models: By id of the catalogue.
        pooled: All models together, for a model that was not measured.
    """

    data_sha256: str
    tasks: int
    models: dict[str, Reliability]
    pooled: Reliability


@cache
def measured() -> Measured:
    """Return the counts that belong to this release."""
    text = files("programs").joinpath("precision.json").read_text(encoding="utf-8")
    return Measured.model_validate_json(text)


def reliability_of(lm: Any) -> Reliability:
    """Return what is known of the model that writes assertions.

    Args:
        lm: DSPy's language model; what follows the last slash of its name is the catalogue's id.
    """
    model = str(getattr(lm, "model", "")).rpartition("/")[2]
    return measured().models.get(model, measured().pooled)


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
