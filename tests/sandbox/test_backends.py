"""Which backend is taken, what is said of the others, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lift_sys.errors import ConfigError, SandboxUnavailableError
from lift_sys.sandbox import (
    Call,
    Limits,
    Sandbox,
    Submission,
    backends,
    canary,
    child,
    create_sandbox,
    host,
    judge,
    macos,
    probe_backends,
    wire,
)
from lift_sys.sandbox.pool import PooledSandbox
from lift_sys.sandbox.probe import BACKENDS, Backend, try_backend
from lift_sys.sandbox.worker import WorkerSpec, start_worker
from lift_sys.tasks import Case
from lift_sys.verdict import Status

USABLE = [report.name for report in probe_backends().backends if report.usable]
BARE = WorkerSpec(layers=frozenset())


def test_some_backend_holds_here() -> None:
    assert USABLE


def test_the_report_names_every_backend_and_layer() -> None:
    report = probe_backends()
    assert [backend.name for backend in report.backends] == [b.name for b in BACKENDS]
    assert report.chosen == USABLE[0]
    text = "\n".join(report.lines())
    assert f"backend: {USABLE[0]}" in text
    for word in ("seccomp", "landlock", "namespaces", "private_scratch", "macos (reduced)"):
        assert word in text or word == "macos (reduced)"
    assert "macos: not usable: sandbox-exec is a part of macOS" in text or sys.platform == "darwin"


def test_a_worker_without_layers_lets_the_canaries_through() -> None:
    with PooledSandbox(lambda: start_worker(BARE)) as sandbox:
        assert "execute" in canary.reached(sandbox)
    source = canary._SOURCE.replace(", execute):", "):")
    with (
        pytest.MonkeyPatch.context() as patch,
        PooledSandbox(lambda: start_worker(BARE)) as sandbox,
    ):
        patch.setattr(canary, "_SOURCE", source)
        assert set(canary.reached(sandbox)) == set(canary.CANARIES) - {"execute"}


def _backend(name: str, spec: WorkerSpec, required: frozenset[str] = frozenset()) -> Backend:
    return Backend(name, lambda: spec, required, reduced=False)


def test_a_backend_that_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "BACKENDS", (_backend("bare", BARE),))
    with pytest.raises(SandboxUnavailableError, match="a canary becomes another program") as caught:
        create_sandbox()
    assert "install bubblewrap" in str(caught.value)
    assert "--unsafe" in str(caught.value)


def test_unsafe_runs_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "BACKENDS", (_backend("bare", BARE),))
    sandbox = create_sandbox(unsafe=True)
    case = Case(args="(2,)", expected="2")
    assert judge(sandbox, "def f(x):\n    return x", "f", [case]).passed
    assert sandbox.description == "bare: no layers"
    sandbox.close()


def test_a_missing_layer_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = WorkerSpec(layers=frozenset(("rlimits", "no_new_privileges", "landlock")))
    backend = _backend("half", spec, backends.REQUIRED_LAYERS)
    monkeypatch.setattr(host, "BACKENDS", (backend,))
    with pytest.raises(SandboxUnavailableError, match="half: seccomp is off"):
        create_sandbox()


def test_a_wrapper_that_fails_says_why_and_the_next_backend_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing = WorkerSpec(prefix=("/bin/sh", "-c", "echo 'uid map: Permission denied' >&2; exit 1"))
    chain = (_backend("wrapped", failing), BACKENDS[1])
    monkeypatch.setattr(host, "BACKENDS", chain)
    started = time.monotonic()
    sandbox = create_sandbox()
    assert sandbox.description.startswith("landlock")
    assert time.monotonic() - started < 10.0  # a worker has 20 s to start
    sandbox.close()
    _, report = try_backend(chain[0])
    assert report.reason == "a sandbox worker did not start: uid map: Permission denied"


def test_without_bubblewrap_the_report_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    report = probe_backends()
    assert "apt-get install bubblewrap" in report.backends[0].reason


def test_an_unknown_backend_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match="choose one of bubblewrap, landlock, macos, modal"):
        create_sandbox(backend="docker")


@pytest.fixture(params=USABLE)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    made = create_sandbox(backend=request.param)
    yield made
    made.close()


HONEST = {
    "imports": "import json, random, hashlib, sqlite3, unicodedata, zoneinfo\n"
    "def f(x):\n    return hashlib.sha256(bytes(x)).hexdigest()[:4] and x",
    "asyncio": "import asyncio\nasync def g(x):\n    await asyncio.sleep(0)\n    return x\n"
    "def f(x):\n    return asyncio.run(g(x))",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\n"
    "def f(x):\n    return A(x).x",
    "enum and typing": "import enum, typing\nclass E(enum.Enum):\n    A = 1\n"
    "def f(x: typing.Optional[int]) -> int:\n    return E.A.value * x",
    "main guard": "def f(x):\n    return x\nif __name__ == '__main__':\n    raise SystemExit(1)",
    "prints": "def f(x):\n    print('x' * 10000)\n    return x",
    "recursion": "def f(x, n=900):\n    return x if n == 0 else f(x, n - 1)",
    "pickles": "import pickle, copy\ndef f(x):\n"
    "    return copy.deepcopy(pickle.loads(pickle.dumps(x)))",
    "platform": "import platform\ndef f(x):\n    return x if platform.system() else 0",
    "memory": "def f(x):\n    return x * len([0] * 10_000_000) // 10_000_000",
    "timezone": "import datetime, zoneinfo\ndef f(x):\n"
    "    d = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))\n"
    "    return x if d.utcoffset().seconds == 7200 else 0",
    "warnings": "import warnings\ndef f(x):\n    warnings.warn('x')\n    return x",
    "sorting": "from functools import cmp_to_key\ndef f(x):\n"
    "    return sorted([3, x, 9], key=cmp_to_key(lambda a, b: a - b))[1]",
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_code_notices_nothing(sandbox: Sandbox, name: str) -> None:
    verdict = judge(sandbox, HONEST[name], "f", [Case(args="(7,)", expected="7")])
    assert verdict.passed, verdict.message


def test_random_draws_and_set_order_are_the_same_each_time(sandbox: Sandbox) -> None:
    code = "import random\ndef f():\n    return [random.random(), list({'a', 'b', 'c', 'd'})]"
    submission = Submission(code=code, entry_point="f", calls=(Call(args="()"),))
    first, second = (sandbox.execute(submission).outcomes[0].value for _ in range(2))
    assert first == second


def test_scratch_space_is_private_where_there_is_one(sandbox: Sandbox) -> None:
    code = "import tempfile\ndef f():\n    return tempfile.TemporaryFile().write(b'x')"
    outcome = sandbox.execute(
        Submission(code=code, entry_point="f", calls=(Call(args="()"),))
    ).outcomes[0]
    if sandbox.description.startswith("bubblewrap"):
        assert outcome.value == 1
    else:
        assert outcome.exception == "FileNotFoundError"


def test_predicates_see_the_arguments_as_they_were(sandbox: Sandbox) -> None:
    call = Call(
        args="([3, 1],)",
        predicates=(
            "result == sorted(xs)",
            "xs == [3, 1]",
            "f([2, 1]) == [1, 2]",
            "len(result) == 3",
            "nonsense",
            "a syntax error",
            "1 / 0",
        ),
    )
    code = "def f(xs):\n    xs.sort()\n    return xs"
    submission = Submission(code=code, entry_point="f", calls=(call,), parameters=("xs",))
    outcome = sandbox.execute(submission).outcomes[0]
    assert outcome.predicates == (True, True, True, False, None, None, None)
    assert outcome.value == [1, 3]


def test_arguments_that_are_no_tuple_are_the_callers_fault(sandbox: Sandbox) -> None:
    for args in ("3", "f(x)", "("):
        submission = Submission(code="def f(x): 0", entry_point="f", calls=(Call(args=args),))
        with pytest.raises(ValueError, match="literal"):
            sandbox.execute(submission)


def test_the_description_names_the_backend_and_its_layers(sandbox: Sandbox) -> None:
    name, _, layers = sandbox.description.partition(": ")
    assert name in USABLE
    assert {"landlock", "rlimits", "seccomp"} <= set(layers.split(", "))
    assert ("namespaces" in layers) is (name == "bubblewrap")


def test_modal_is_taken_only_when_asked_for() -> None:
    with pytest.raises(SandboxUnavailableError, match="modal"):
        create_sandbox(backend="modal")


# --- macOS, as far as it can be seen from here ------------------------------------------------


def test_the_macos_profile_denies_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr(backends, "_MACOS_TOOL", "/bin/sh")
    spec = backends.macos_spec()
    assert spec.prefix[:2] == ("/bin/sh", "-p")
    profile = spec.prefix[2].splitlines()
    assert profile[:3] == ["(version 1)", "(deny default)", "(deny network*)"]
    allowed = [line for line in profile if line.startswith("(allow")]
    assert not any("network" in line or "file-write*" in line for line in allowed)
    assert profile[-1].count("(") == profile[-1].count(")")
    assert spec.layers == {"rlimits"}


def test_the_macos_backend_is_labelled_reduced() -> None:
    assert [backend.name for backend in BACKENDS if backend.reduced] == ["macos"]


def test_resident_memory_is_read_from_the_kernels_structure() -> None:
    class Library:
        @staticmethod
        def proc_pid_rusage(pid: int, flavor: int, buffer: bytearray) -> int:
            assert (pid, flavor) == (7, 0)
            buffer[64:72] = (123 << 20).to_bytes(8, "little")
            return 0

    assert macos.resident_bytes(7, Library()) == 123 << 20
    assert macos.resident_bytes(7, object()) == 0


def test_a_child_that_holds_too_much_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    import select
    import socket

    monkeypatch.setattr(child, "WATCHES_MEMORY", True)
    monkeypatch.setattr(child, "resident_bytes", lambda _: 2 << 30)
    process = subprocess.Popen(["sleep", "60"])
    ours, theirs = socket.socketpair()
    inner_source, source = os.pipe()
    sink, inner_sink = os.pipe()
    one = child.Child(process.pid, source, sink)
    poll = select.poll()
    poll.register(theirs, child.HOST_GONE)
    assert one.watch(poll, (1, 5.0, 5.0, 1 << 30, 1 << 20)) == wire.MEMORY_LIMIT
    assert one.end() == -9
    process.returncode = -9
    for end in (ours, theirs):
        end.close()
    os.close(inner_source)
    os.close(inner_sink)


def test_a_memory_limit_is_named_with_its_value(sandbox: Sandbox) -> None:
    limits = Limits(memory_bytes=256 << 20)
    code = "def f(x):\n    return len(bytes(300 << 20))"
    verdict = judge(sandbox, code, "f", [Case(args="(1,)", expected="1")], limits)
    assert verdict.status is Status.MEMORY


def test_importing_the_package_is_cheap() -> None:
    code = (
        "import sys, lift_sys.sandbox; print(sorted(set(sys.modules) & {'dspy', 'modal', 'numpy'}))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout == "[]\n"
