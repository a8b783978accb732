"""What containers cannot execute is refused before anything is spent."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from lift_sys.app import modal_executor
from lift_sys.app.containers import check_executor, sent_elsewhere
from lift_sys.config import Executor, RunConfig
from lift_sys.errors import ConfigError


def test_an_optimizer_that_runs_programs_itself_is_refused() -> None:
    check_executor(RunConfig(optimizer="gepa"))
    with pytest.raises(ConfigError, match="'gepa' runs its programs here"):
        check_executor(RunConfig(optimizer="gepa", executor=Executor(kind="modal")))


@pytest.mark.parametrize(
    ("job", "model"),
    [
        ({"model": "claude"}, "claude"),
        ({"model": "qwen2.5-coder-7b"}, "qwen2.5-coder-7b"),
        ({"model": "qwen2.5-coder-0.5b>claude"}, "qwen2.5-coder-0.5b>claude"),
        ({"space": {"ir_generator.model": ["program", "claude"]}}, "claude"),
        ({"teachers": [{"model": "claude"}]}, "claude"),
    ],
)
def test_a_model_that_is_not_in_containers_is_refused(job: dict[str, Any], model: str) -> None:
    check_executor(RunConfig.model_validate(job))
    with pytest.raises(ConfigError, match=f"no network and no keys, so {model} cannot be asked"):
        check_executor(RunConfig.model_validate({**job, "executor": {"kind": "modal"}}))


def test_who_writes_instructions_need_not_be_in_containers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uploaded: list[str] = []

    def opened(_: int, model_ids: tuple[str, ...]) -> Any:
        uploaded.extend(model_ids)
        return nullcontext()

    monkeypatch.setattr(modal_executor, "opened_modal", opened)
    config = RunConfig(prompt_model="claude", executor=Executor(kind="modal"))
    check_executor(config)
    with sent_elsewhere(config):
        assert uploaded == [config.model]
