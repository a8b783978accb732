"""``lift doctor``: what this machine and the configured backends can do, one line per check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from lift_sys.app import environment
from lift_sys.app.backend_checks import check_backends
from lift_sys.errors import LiftError
from lift_sys.inference import catalogue, fetch
from lift_sys.inference.own_models import read_own_models
from lift_sys.sandbox import create_sandbox, judge, probe_backends
from lift_sys.tasks import Case


def examine(*, unsafe: bool) -> Iterator[tuple[str, bool]]:
    """Yield each check's line and whether it is good.

    Raises:
        ConfigError: The file of the user's own models is wrong.
    """
    environment.prepare()
    for name, value in environment.describe().items():
        yield f"{name} {value}", True
    yield from _sandbox(unsafe=unsafe)
    own = environment.own_models_file()
    yield f"own models: {own}", True
    folder = environment.models_dir()
    for info in catalogue.all_models():
        if info.embedded:
            path = fetch.locate(info.id, folder)
            where = str(path) if path else f"not in {folder} (lift models pull {info.id})"
            yield f"model {info.id}: {where}", True
    keys = environment.keys_of(catalogue.all_models())
    yield from check_backends(read_own_models(own), keys, folder)


def _sandbox(*, unsafe: bool) -> Iterator[tuple[str, bool]]:
    for line in probe_backends().lines():
        yield f"sandbox {line}", True
    try:
        with closing(create_sandbox(unsafe=unsafe)) as sandbox:
            yield f"sandbox: {sandbox.description}", True
            case = Case(args="(20,)", expected="21")
            verdict = judge(sandbox, "def f(x):\n    return x + 1\n", "f", [case])
            yield f"sandbox runs code: {verdict.status}", verdict.passed
    except LiftError as error:
        yield f"sandbox: {error}", False
