"""What an attack is, and its control: the same code with the defence off.

Owns reading the attack files and the four ways to take a defence away: a worker without layers, a
worker without time limits, a host without its caps, and a harness that keeps candidate, expected
value and verdict in one process.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from lift_sys.errors import SandboxError
from lift_sys.sandbox import Call, Execution, Limits, Submission, answer, codec, worker
from lift_sys.sandbox.pool import PooledSandbox
from lift_sys.sandbox.request import write_request
from lift_sys.sandbox.worker import WorkerSpec, start_worker
from lift_sys.verdict import Status
from tests.attacks.attack_world import World

CASES = Path(__file__).parent / "cases"
QUICK = Limits(call_seconds=0.4, total_seconds=0.6)
PATIENT = Limits(call_seconds=30.0, total_seconds=30.0)  # for those that end by themselves
LONG = Limits(call_seconds=1.5, total_seconds=1.5)
BARE = WorkerSpec(layers=frozenset())

_HARNESS = """
import ast, json, os, sys
expected = eval(sys.argv[3])
names = {}
exec(sys.argv[1], names)
value = names["f"](*ast.literal_eval(sys.argv[2]))
passed = bool(value == expected)
os.write(int(sys.argv[4]), (json.dumps({"passed": passed}) + "\\n").encode())
if passed:
    print("PASS")
else:
    sys.exit(1)
"""
"""What many harnesses do: candidate, expected value and verdict in one process."""


@dataclass(frozen=True)
class Attack:
    """One attack: its file's header and its code."""

    name: str
    title: str
    outcome: str
    control: str
    code: str
    expected: str = ""
    file: Path = field(default_factory=Path)


def load_attacks() -> list[Attack]:
    """Return every attack, by outcome class and name."""
    attacks = []
    for path in sorted(CASES.rglob("*.py.txt")):
        text = path.read_text(encoding="utf-8")
        head, code = text.split("\n\n", 1)
        title, *fields = [line.removeprefix("# ") for line in head.splitlines()]
        values = dict(line.split(": ", 1) for line in fields)
        name = path.name.removesuffix(".py.txt")
        attacks.append(Attack(name, title.rstrip("."), code=code, file=path, **values))
    return attacks


def execute(
    sandbox: PooledSandbox, code: str, entry_point: str, world: World, limits: Limits
) -> Execution:
    calls = (Call(args=f"({world.env!r},)"),)
    return sandbox.execute(Submission(code=code, entry_point=entry_point, calls=calls), limits)


def run_control(attack: Attack) -> bool:
    """Run an attack with the defence off; tell whether it succeeds."""
    kind, _, detail = attack.control.partition(":")
    return _CONTROLS[kind](attack, detail)


def _bare(attack: Attack, detail: str) -> bool:
    """Run it in a worker without any layer, with the leak it needs left open."""
    limits = QUICK if detail == "stop" else PATIENT
    with World() as world:
        prefix = _leak(detail, world)
        spec = replace(BARE, prefix=prefix)
        if detail in {"stdout", "writable descriptor"}:
            (world.folder / "out").write_bytes(b"")
            world.before = world.look()
        with PooledSandbox(lambda: start_worker(spec)) as sandbox:
            try:
                execution = execute(sandbox, attack.code, "attack", world, limits)
                left = False
                if "def collect(" in attack.code:
                    after = execute(sandbox, attack.code, "collect", world, limits)
                    left = after.outcomes[0].value is True
            except SandboxError:
                return True
            out = world.folder / "out"
            wrote = out.exists() and out.stat().st_size > 0
            return execution.outcomes[0].value is True or left or bool(world.evidence()) or wrote


_LEAK = """
import os, sys
path, flags, descriptor, *command = sys.argv[1:]
wanted = int(descriptor)
while wanted > 2:  # any, but one that the worker needs
    try:
        os.fstat(wanted)
    except OSError:
        break
    wanted -= 1
os.dup2(os.open(path, int(flags)), wanted)
os.execvp(command[0], command)
"""
"""Leaves a file open as a given descriptor, or the next lower one that is free."""


def _leak(detail: str, world: World) -> tuple[str, ...]:
    """Return the command that starts a worker with the leak that a control needs."""
    out = str(world.folder / "out")
    leaks = {
        "descriptor": (str(world.flag), os.O_RDONLY, 63),
        "writable descriptor": (out, os.O_WRONLY | os.O_CREAT, 63),
        "stdout": (out, os.O_WRONLY | os.O_CREAT, 1),
    }
    if detail == "environment":
        return ("/usr/bin/env", "SECRET=x")
    if detail not in leaks:
        return ()
    return (sys.executable, "-c", _LEAK, *map(str, leaks[detail]))


def _without_limit(attack: Attack, _: str) -> bool:
    """Give it three times the time: it must use it up."""
    with World() as world, PooledSandbox(lambda: start_worker(BARE)) as sandbox:
        execution = execute(sandbox, attack.code, "attack", world, LONG)
        return execution.status is Status.TIMEOUT and execution.seconds >= LONG.call_seconds


def _open_host(attack: Attack, cap: str) -> bool:
    """Take one cap of the host away: what comes back must be what the cap keeps out."""
    if cap == "output":
        return _flooded(attack)
    if cap == "parser":
        return _parser_alone(attack)
    patches = {
        "elements": (codec, "MAX_ELEMENTS", 10**9),
        "depth": (codec, "MAX_DEPTH", 10**9),
        "hashes": (codec, "MAX_EQUAL_HASHES", 10**9),
        "message": (answer, "_MAX_TEXT", 10**9),
    }
    with World() as world, PooledSandbox(lambda: start_worker(BARE)) as sandbox:
        with mock.patch.object(*patches[cap]):
            started = time.process_time()
            execution = execute(sandbox, attack.code, "attack", world, LONG)
            cost = time.process_time() - started
        outcome = execution.outcomes[0]
        if cap == "message":
            return len(outcome.message) > 10_000
        return outcome.status is Status.PASSED and (cap != "hashes" or cost > 0.05)


def _ask(attack: Attack, limits: Limits) -> bytes:
    with World() as world:
        one = worker.Worker(BARE)
        try:
            calls = (Call(args=f"({world.env!r},)"),)
            submission = Submission(code=attack.code, entry_point="attack", calls=calls)
            return one.ask(write_request(submission), 1, limits).output
        finally:
            one.close()


def _flooded(attack: Attack) -> bool:
    limits = Limits(call_seconds=30, total_seconds=30, output_bytes=8 << 20, memory_bytes=1 << 32)
    return len(_ask(attack, limits)) > PATIENT.output_bytes


def _parser_alone(attack: Attack) -> bool:
    """Tell whether a host that only calls ``json.loads`` would be thrown off."""
    line = _ask(attack, LONG).splitlines()[1]
    try:
        json.loads(line)
    except RecursionError:
        return True
    return False


def _naive(attack: Attack, mode: str) -> bool:
    """Run it in a harness that keeps everything in one process: it must pass there."""
    expected = attack.expected or str(random.SystemRandom().randrange(10**11, 10**12))
    read, write = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _HARNESS, attack.code, "(3,)", expected, str(write)],
            capture_output=True,
            pass_fds=(write,),
            timeout=20,
            check=False,
        )
        os.close(write)
        write = -1
        channel = os.read(read, 1 << 16)
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)
    said = b'{"passed": true}' in channel
    if mode == "exit":
        return done.returncode == 0
    if mode == "stdout":
        return b"PASS" in done.stdout
    if mode == "channel":
        return said
    return done.returncode == 0 and b"PASS" in done.stdout and said


_CONTROLS: dict[str, Callable[[Attack, str], bool]] = {
    "bare": _bare,
    "limits": _without_limit,
    "open": _open_host,
    "naive": _naive,
}
