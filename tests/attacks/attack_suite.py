"""Runs every attack on every backend that works here, and each attack's control.

Usage: ``python tests/attacks/attack_suite.py`` prints JSON; run by the tests, once as the user they
run as and once as uid 65534. An attack is a file under ``cases``: a title, its outcome class (after
gVisor's), its control and the code. The control is the same code with the defence off; it must
succeed, or the attack shows nothing.

Results: ``blocked`` (refused), ``contained`` (it did something, but a limit or its own namespace
kept it there), ``escaped`` (it reached the host, another candidate or a false verdict).
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2]))

from lift_sys.errors import SandboxError
from lift_sys.sandbox import judge, worker
from lift_sys.sandbox.pool import PooledSandbox
from lift_sys.sandbox.probe import BACKENDS, try_backend
from lift_sys.tasks import Case
from lift_sys.verdict import Status
from tests.attacks.attack_controls import (
    PATIENT,
    QUICK,
    Attack,
    execute,
    load_attacks,
    run_control,
)
from tests.attacks.attack_world import World

_HONEST = "def f(x):\n    return x"
_SLACK_SECONDS = 15.0  # a starved machine is not an escape; a hang is


def run_attack(attack: Attack, sandbox: PooledSandbox) -> str:
    """Run an attack and return its result."""
    limits = QUICK if attack.control == "limits" else PATIENT
    if attack.outcome == "forgery":
        return _forge(attack, sandbox)
    with World() as world:
        try:
            started = time.monotonic()
            execution = execute(sandbox, attack.code, "attack", world, limits)
            if time.monotonic() - started > limits.total_seconds + _SLACK_SECONDS:
                return "escaped"
            left = False
            if "def collect(" in attack.code:
                after = execute(sandbox, attack.code, "collect", world, limits)
                left = after.outcomes[0].value is True
            well = judge(sandbox, _HONEST, "f", [Case(args="(1,)", expected="1")], PATIENT)
        except SandboxError:
            return "escaped"  # it took the sandbox itself down
        outcome = execution.outcomes[0]
        if outcome.value is True or left or world.evidence() or not well.passed:
            return "escaped"
    stopped = {Status.TIMEOUT, Status.MEMORY, Status.UNSERIALISABLE, Status.PROTOCOL}
    return "contained" if outcome.value == "contained" or outcome.status in stopped else "blocked"


def _forge(attack: Attack, sandbox: PooledSandbox) -> str:
    expected = attack.expected or str(random.SystemRandom().randrange(10**11, 10**12))
    verdict = judge(sandbox, attack.code, "f", [Case(args="(3,)", expected=expected)], PATIENT)
    return "escaped" if verdict.passed else "blocked"


# --- the whole suite --------------------------------------------------------------------------


@contextmanager
def _leaky_host() -> Iterator[None]:
    """Leave the host as careless as hosts are: an inheritable descriptor, a secret variable."""
    with (
        World() as world,
        world.flag.open() as leaked,
        mock.patch.dict(os.environ, {"SECRET": "x"}),
    ):
        os.set_inheritable(leaked.fileno(), True)
        yield


def run_suite(threads: int = 6) -> dict[str, Any]:
    """Run everything and return results by attack, and what the machine is."""
    attacks = load_attacks()
    local = threading.local()
    stack = ExitStack()
    lock = threading.Lock()
    usable = [b for b in BACKENDS if _usable(b.name)]

    def on(attack: Attack) -> tuple[str, dict[str, str]]:
        if not hasattr(local, "sandboxes"):
            local.sandboxes = {}
            for backend in usable:
                sandbox, _ = try_backend(backend)
                assert sandbox is not None
                local.sandboxes[backend.name] = sandbox
                with lock:
                    stack.callback(sandbox.close)
        results = {name: run_attack(attack, s) for name, s in local.sandboxes.items()}
        return attack.name, results

    with stack, _leaky_host(), mock.patch.object(worker, "_GRACE_SECONDS", 5.0):
        with ThreadPoolExecutor(threads) as executor:
            results = dict(executor.map(on, attacks))
            alone = [a for a in attacks if a.control.startswith("open")]
            others = [a for a in attacks if a not in alone]
            controls = dict(zip(others, executor.map(run_control, others), strict=True))
        for attack in alone:  # they patch the host or measure its time
            controls[attack] = run_control(attack)
    return {
        "uid": os.getuid(),
        "backends": [b.name for b in usable],
        "results": results,
        "controls": {attack.name: held for attack, held in controls.items()},
    }


def _usable(name: str) -> bool:
    backend = next(b for b in BACKENDS if b.name == name)
    sandbox, _ = try_backend(backend)
    if sandbox is not None:
        sandbox.close()
    return sandbox is not None


if __name__ == "__main__":
    json.dump(run_suite(), sys.stdout)
