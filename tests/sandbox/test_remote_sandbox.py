"""The Modal backend, against a stand-in for the client that runs the real bridge here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lift_sys.errors import SandboxUnavailableError
from lift_sys.sandbox import judge
from lift_sys.sandbox.remote import REMOTE_FOLDER, create_modal_sandbox
from lift_sys.tasks import Case
from lift_sys.verdict import Status


class Recorder:
    """Stands in for the ``modal`` module: keeps what it was asked for, runs commands locally."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options: list[dict[str, Any]] = []
        self.terminated = 0
        self.processes: list[subprocess.Popen[str]] = []
        self.App = self.Image = self.Sandbox = self

    def lookup(self, name: str, *, create_if_missing: bool) -> str:
        assert create_if_missing
        return name

    def debian_slim(self, python_version: str) -> Recorder:
        assert python_version
        return self

    def add_local_file(self, local: str, remote: str, *, copy: bool) -> Recorder:
        assert copy
        target = self.folder / Path(remote).relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(local).read_bytes())
        return self

    def create(self, **options: Any) -> FakeSandbox:
        self.options.append(options)
        return FakeSandbox(self)


class FakeSandbox:
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def exec(self, program: str, script: str, config: str) -> FakeProcess:
        assert program == "python"
        local = self.recorder.folder / Path(script).relative_to("/")
        process = subprocess.Popen(
            [sys.executable, str(local), config],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.recorder.processes.append(process)
        return FakeProcess(process)

    def terminate(self) -> None:
        self.recorder.terminated += 1
        process = self.recorder.processes[-1]
        process.kill()
        process.wait()
        assert process.stdin
        process.stdin.close()


class FakeProcess:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.stdin = self
        self.stdout = self.read()

    def read(self) -> Iterator[str]:
        assert self.process.stdout
        with self.process.stdout as lines:
            yield from lines

    def write(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text)

    def drain(self) -> None:
        assert self.process.stdin
        self.process.stdin.flush()


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


def test_many_candidates_share_one_remote_sandbox(recorder: Recorder) -> None:
    sandbox = create_modal_sandbox(client=recorder)
    cases = [Case(args="(3,)", expected="9"), Case(args="(0,)", expected="0")]
    for _ in range(3):
        assert judge(sandbox, "def f(x):\n    return x * x", "f", cases).passed
    verdict = judge(sandbox, "def f(x):\n    return x", "f", cases)
    assert verdict.status is Status.WRONG_ANSWER
    sandbox.close()
    sandbox.close()
    assert len(recorder.options) == 1
    assert recorder.terminated == 1


def test_the_remote_sandbox_has_no_network_and_no_secrets(recorder: Recorder) -> None:
    create_modal_sandbox(client=recorder).close()
    (options,) = recorder.options
    assert options["block_network"] is True
    assert "secrets" not in options
    assert "volumes" not in options


def test_expected_values_are_not_sent(recorder: Recorder) -> None:
    sent: list[str] = []
    original = FakeProcess.write

    def record(self: FakeProcess, text: str) -> None:
        sent.append(text)
        original(self, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeProcess, "write", record)
        sandbox = create_modal_sandbox(client=recorder)
        case = Case(args="(3,)", expected="'the secret answer'")
        judge(sandbox, "def f(x):\n    return x", "f", [case])
        sandbox.close()
    import base64

    plain = b"".join(base64.b64decode(text) for text in sent)
    assert b"def f(x)" in plain
    assert b"the secret answer" not in plain


def test_a_lost_remote_sandbox_is_replaced(recorder: Recorder) -> None:
    sandbox = create_modal_sandbox(client=recorder)
    recorder.processes[0].kill()
    recorder.processes[0].wait()
    case = Case(args="(3,)", expected="3")
    assert judge(sandbox, "def f(x):\n    return x", "f", [case]).passed
    sandbox.close()
    assert len(recorder.options) == 2


def test_without_the_package_the_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    with pytest.raises(SandboxUnavailableError, match="pip install modal"):
        create_modal_sandbox()


def test_everything_a_zygote_needs_is_copied(recorder: Recorder) -> None:
    create_modal_sandbox(client=recorder).close()
    names = {p.name for p in (recorder.folder / REMOTE_FOLDER.lstrip("/")).iterdir()}
    assert {"bridge.py", "zygote.py", "confine.py", "syscalls.py"} <= names
    assert json.dumps(sorted(names)).count("judge") == 0
