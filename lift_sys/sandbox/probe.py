"""Finding out which sandbox this machine can give, by attacking each.

Owns the choice of a backend and the report about it. A backend is taken when its worker starts,
every layer it needs is on and none of the canaries gets through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lift_sys.errors import SandboxError
from lift_sys.record import Record
from lift_sys.sandbox import backends, canary
from lift_sys.sandbox.pool import PooledSandbox
from lift_sys.sandbox.worker import WorkerSpec, start_worker


class Backend(NamedTuple):
    """A way to confine workers: its name, how to get it, what it must show, what is less."""

    name: str
    spec: Callable[[], WorkerSpec]
    required: frozenset[str]
    reduced: bool


BACKENDS = (
    Backend("bubblewrap", backends.bubblewrap_spec, backends.REQUIRED_LAYERS, reduced=False),
    Backend("landlock", backends.landlock_spec, backends.REQUIRED_LAYERS, reduced=False),
    Backend("macos", backends.macos_spec, frozenset(("rlimits",)), reduced=True),
)
"""Every local backend, strongest first. (``modal`` is remote and only taken when asked for.)"""


class BackendReport(Record):
    """What was found out about one backend.

    Attributes:
        name: One of ``BACKENDS``.
        usable: Whether code may be executed in it.
        reduced: Whether it promises less than the others.
        reason: Why it is not usable, in one sentence; empty if it is.
        layers: Each layer, and ``on`` or why it is not.
        reached: The canaries that got through, and what they did.
    """

    name: str
    usable: bool
    reduced: bool = False
    reason: str = ""
    layers: Mapping[str, str] = {}
    reached: Mapping[str, str] = {}


class ProbeReport(Record):
    """What was found out about a machine.

    Attributes:
        chosen: Name of the first usable backend, or ``None``.
        backends: One report per backend, strongest first.
    """

    chosen: str | None
    backends: tuple[BackendReport, ...]

    def lines(self) -> list[str]:
        """Return the report as lines for a person."""
        lines = [f"backend: {self.chosen or 'none'}"]
        for backend in self.backends:
            label = " (reduced)" if backend.reduced else ""
            state = "usable" if backend.usable else f"not usable: {backend.reason}"
            lines.append(f"{backend.name}{label}: {state}")
            lines += [f"  {layer}: {what}" for layer, what in sorted(backend.layers.items())]
        return lines


def probe_backends() -> ProbeReport:
    """Try every backend and report."""
    reports = []
    for backend in BACKENDS:
        sandbox, report = try_backend(backend)
        if sandbox is not None:
            sandbox.close()
        reports.append(report)
    chosen = next((report.name for report in reports if report.usable), None)
    return ProbeReport(chosen=chosen, backends=tuple(reports))


def try_backend(
    backend: Backend, *, workers: int = 1, unsafe: bool = False
) -> tuple[PooledSandbox | None, BackendReport]:
    """Start a backend and attack it.

    Args:
        backend: Which.
        workers: Size of the pool.
        unsafe: Return the sandbox even if it does not hold.

    Returns:
        The sandbox, if it is to be used, and the report.
    """
    try:
        spec = backend.spec()
    except backends.NotHereError as error:
        return None, BackendReport(name=backend.name, usable=False, reason=str(error))
    name = backend.name + (" (reduced)" if backend.reduced else "")
    try:
        sandbox = PooledSandbox(lambda: start_worker(spec), name=name, workers=workers)
    except SandboxError as error:
        return None, BackendReport(name=backend.name, usable=False, reason=str(error))
    sandbox.layers = layers_of(spec, sandbox.layers)
    reason, reached = _examine(sandbox, backend)
    report = BackendReport(
        name=backend.name,
        usable=not reason,
        reduced=backend.reduced,
        reason=reason,
        layers=sandbox.layers,
        reached=reached,
    )
    if reason and not unsafe:
        sandbox.close()
        return None, report
    return sandbox, report


def _examine(sandbox: PooledSandbox, backend: Backend) -> tuple[str, Mapping[str, str]]:
    """Return why the backend is not usable (empty if it is) and the canaries that got through."""
    off = {n: s for n, s in sandbox.layers.items() if n in backend.required and s != "on"}
    if off:
        return "; ".join(f"{name} is off ({why})" for name, why in sorted(off.items())), {}
    try:
        reached = canary.reached(sandbox)
    except SandboxError as error:
        return str(error), {}
    if backend.reduced:  # what the reduced backend says it does not stop
        reached = {name: what for name, what in reached.items() if name not in {"fork", "memory"}}
    return "; ".join(f"a canary {what}" for what in reached.values()), reached


def layers_of(spec: WorkerSpec, layers: Mapping[str, str]) -> dict[str, str]:
    """Return the layers of a worker together with those that its prefix gives it."""
    state = "on" if spec.own_namespaces else "not in this backend"
    return {**layers, "namespaces": state, "private_scratch": state}
