"""What a job makes of its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.app.run import _needs
from lift_sys.config import RunConfig

OWN = {"code_generator.temperature": ("program", 0.7)}


@pytest.mark.parametrize(
    ("space", "needs"),
    [({}, {"n": ("temperature", (0.5, 1.0))}), ({"critic.seed": (0, 1)}, None), (OWN, {})],
)
def test_several_candidates_need_a_temperature_or_a_stage_that_has_its_own(
    space: dict[str, Any], needs: dict[str, Any] | None
) -> None:
    config = RunConfig(space={"temperature": (0.0, 0.5, 1.0), "n": (1, 2), **space})

    assert _needs(config) == ({"n": ("temperature", (0.5, 1.0))} if needs is None else needs)
