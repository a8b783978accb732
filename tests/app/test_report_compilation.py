"""A report tells what one of DSPy's optimizers did, and counts what it asked."""

from __future__ import annotations

import pytest

from lift_sys.app.cost import whole_cost
from lift_sys.app.report import Compilation, build_report
from lift_sys.app.tables import markdown
from metrics.stats import Rate
from tests.app.test_report import call, row, rows


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        (3, "and ran 3 different programs on all dev tasks, for 90 tokens out."),
        (0, "It had 1,200 answers scored, for 90 tokens out."),
    ],
)
def test_what_an_optimizer_did_is_told(programs: int, said: str) -> None:
    made = Compilation(
        optimizer="gepa",
        preset="direct",
        programs=programs,
        scored=1200,
        tokens=90,
        before=Rate.of(2, 8),
        after=Rate.of(5, 8),
    )
    report = build_report("x", "0", {"a": rows("10")}, []).model_copy(update={"compilation": made})
    text = markdown(report)
    assert "Optimizer: gepa, from the program direct." in text
    assert said in text
    assert "passed 2/8" in text
    assert ("flatters" in text) is bool(programs)


def test_a_call_counts_once_whoever_made_it() -> None:
    ran = [row(0, passed=True, calls=(call("a"), call("")))]
    assert whole_cost(ran, [call("a"), call("b"), call("b")])["usage"].calls == 3
