"""Choosing a backend: the one function that gives the rest of the product a sandbox."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from lift_sys.errors import ConfigError, SandboxUnavailableError
from lift_sys.sandbox.base import Sandbox
from lift_sys.sandbox.probe import BACKENDS, Backend, try_backend

_log = logging.getLogger(__name__)


def create_sandbox(
    *, workers: int = 1, unsafe: bool = False, backend: str | None = None
) -> Sandbox:
    """Return a sandbox with the strongest backend that holds on this machine.

    Args:
        workers: How many candidates may run at the same time.
        unsafe: If no backend holds, return one that does not, with whatever layers it has.
        backend: Name of the only backend to try, also ``modal``; ``None`` for all local ones,
            strongest first.

    Raises:
        ConfigError: There is no backend of that name.
        SandboxUnavailableError: None holds and ``unsafe`` is not set.
    """
    if backend == "modal":
        from lift_sys.sandbox.remote import create_modal_sandbox  # noqa: PLC0415  # rarely wanted

        return create_modal_sandbox(workers=workers)
    wanted = [b for b in BACKENDS if backend in {None, b.name}]
    if not wanted:
        names = ", ".join(b.name for b in BACKENDS)
        msg = f"there is no sandbox backend {backend!r}; choose one of {names}, modal"
        raise ConfigError(msg)
    reasons: list[str] = []
    for candidate in wanted:
        sandbox, report = try_backend(candidate, workers=workers)
        if sandbox is not None:
            if reasons:
                _log.info("sandbox backend %s, because %s", report.name, "; ".join(reasons))
            return sandbox
        reasons.append(f"{report.name}: {report.reason}")
    weak = _weakest(wanted, workers) if unsafe else None
    if weak is not None:
        return weak
    msg = (
        f"no sandbox holds on this machine ({'; '.join(reasons)}); on Linux install bubblewrap or "
        "use a kernel of 5.13 or newer with Landlock, or pass --unsafe to run without"
    )
    raise SandboxUnavailableError(msg)


def _weakest(backends: Sequence[Backend], workers: int) -> Sandbox | None:
    """Return a sandbox although it does not hold, from the last backend that starts at all."""
    for backend in reversed(backends):
        sandbox, _ = try_backend(backend, workers=workers, unsafe=True)
        if sandbox is not None:
            _log.warning("running generated code without a sandbox that holds")
            return sandbox
    return None
