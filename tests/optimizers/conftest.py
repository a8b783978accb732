"""What tests of optimizers may ask for."""

from __future__ import annotations

import dspy
import pytest

from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.sandbox import Sandbox
from metrics.adapters import ExecutionMetric
from tests.optimizers.half_known import TASKS, Setup, answer


@pytest.fixture
def setup(sandbox: Sandbox) -> Setup:
    """A program whose model knows half of the tasks."""
    engine = ScriptedEngine(answer)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    return Setup(sandbox, engine, lm, ExecutionMetric(TASKS, sandbox))
