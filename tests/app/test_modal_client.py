"""The containers as Modal's real client sees them, up to where it would reach for the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lift_sys.app import modal_executor
from lift_sys.app.modal_executor import ModalContainers
from lift_sys.errors import InfrastructureError

modal = pytest.importorskip("modal", reason="Modal's client is not installed; it is optional")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return what was asked of the client by the first job."""
    seen: dict[str, Any] = {"put": []}

    @contextmanager
    def run(app: Any) -> Iterator[None]:
        seen["app"] = app
        yield

    @contextmanager
    def batch_upload(volume: Any, force: bool = False) -> Iterator[Any]:
        yield SimpleNamespace(put_file=lambda local, remote: seen["put"].append((local, remote)))

    def remote(function: Any, job: str) -> str:
        seen["function"] = function
        return f"answer to {job}"

    monkeypatch.setattr(modal.App, "run", run)
    monkeypatch.setattr(modal.Volume, "batch_upload", batch_upload)
    monkeypatch.setattr(modal.Volume, "listdir", lambda volume, path: [])
    monkeypatch.setattr(modal.Function, "remote", remote)
    monkeypatch.setattr(modal_executor, "ensure_model", lambda name, _: tmp_path / name)
    containers = ModalContainers(modal, 3, ["qwen2.5-coder-0.5b"])
    seen["answer"] = containers.send("a job")
    yield seen
    containers.close()


def test_the_client_takes_the_app_and_its_function(started: dict[str, Any]) -> None:
    function = started["function"]

    assert started["answer"] == "answer to a job"
    assert isinstance(function, modal.Function)
    assert isinstance(started["app"], modal.App)
    assert str(function) == "Function(execute)"
    assert [remote for _, remote in started["put"]] == ["/qwen2.5-coder-0.5b.gguf"]


def test_without_an_account_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODAL_CONFIG_PATH", "/nonexistent")
    with pytest.raises(InfrastructureError, match="a task in a Modal container failed"):
        ModalContainers(modal, 1, []).send("a job")
