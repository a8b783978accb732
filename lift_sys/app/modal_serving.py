"""``lift modal``: putting vLLM on Modal, and what becomes of it.

Owns the key, the entry in the user's models.toml, and the time of a cold start. A key is made
here, shown once and kept as a secret at Modal; after that it is only where the user put it.
``modal`` is imported only when it is asked for.
"""

from __future__ import annotations

import importlib
import secrets
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lift_sys.app import environment
from lift_sys.errors import ConfigError, InfrastructureError, LiftError
from lift_sys.files import write_atomically
from lift_sys.inference.modal_app import (
    CONFIGURATIONS,
    FETCH,
    KEY,
    SECRET,
    SERVE,
    Serving,
    build_app,
    configuration,
)
from lift_sys.inference.model_entry import lines_of, with_fields

HEALTH_SECONDS = 5.0
"""Within which a running server answers that it is well."""

ASKED_EVERY = 2.0
"""Seconds between two questions whether a server is up."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """An app that answers.

    Attributes:
        url: What a model's entry names.
        cold_seconds: From the first question to the first answer; ``None`` if an earlier container
            was still up.
        entry: The lines for models.toml.
        file: Where they were written; ``None`` if a person has to write them.
    """

    url: str
    cold_seconds: float | None
    entry: str
    file: Path | None


def deploy(model: str, *, new_key: bool, tell: Tell) -> Deployed:
    """Deploy a model's app, put its weights there, start it once, and enter it in models.toml.

    Args:
        model: Id of one that has a configuration.
        new_key: Whether to replace the key of all apps.
        tell: Told what goes on, before each long step; also the key, if it is made now.

    Raises:
        ConfigError: The client or the login is missing, there is no such configuration, or the key
            of earlier apps is not set here.
        InfrastructureError: Modal failed, or the server did not come up.
    """
    serving = configuration(model)
    client = client_of_modal()
    with _blamed(client):
        key = _settled_key(client, new_key=new_key, tell=tell)
        tell(f"deploying {serving.app} ({serving.hardware}, {price_words(serving)})")
        with client.enable_output():
            build_app(client, serving).deploy(name=serving.app)
        tell(f"fetching the weights of {serving.recipe.model}, unless they are there")
        client.Function.from_name(serving.app, FETCH).remote()
        function = client.Function.from_name(serving.app, SERVE).hydrate()
        url, asleep = _url(function), not _containers(function)
    tell(f"starting {url}; the first start also compiles")
    seconds = _await_health(url, serving)
    _require_key(url, key)
    entry, file = _enter(serving, f"{url}/v1")
    return Deployed(f"{url}/v1", seconds if asleep else None, entry, file)


def states() -> Iterator[tuple[Serving, str, str]]:
    """Yield each configuration, how it is, and its URL if it is deployed.

    A container that sleeps is not woken: that would cost.

    Raises:
        ConfigError: The client or the login is missing.
        InfrastructureError: Modal failed.
    """
    client = client_of_modal()
    for serving in CONFIGURATIONS:
        with _blamed(client):
            try:
                function = client.Function.from_name(serving.app, SERVE).hydrate()
            except client.exception.NotFoundError:
                yield serving, "not deployed", ""
                continue
            url, running = _url(function), _containers(function)
        state = "asleep: the next request starts it"
        if running:
            state = "healthy" if _healthy(url, HEALTH_SECONDS) else "up, and not healthy (yet)"
        yield serving, state, f"{url}/v1"


def stop(model: str) -> bool:
    """End a model's app and its containers, and return whether there was one; weights are kept.

    Raises:
        ConfigError: There is no such configuration, or the client or the login is missing.
        InfrastructureError: Modal failed.
    """
    serving = configuration(model)
    client = client_of_modal()
    with _blamed(client):
        try:
            client.App.lookup(serving.app).stop()
        except client.exception.NotFoundError:
            return False
    return True


def price_words(serving: Serving) -> str:
    """Return what an hour costs, for a person."""
    return f"{serving.price.hour:.2f} USD an hour while it is up, as of {serving.price.as_of}"


def client_of_modal() -> Any:
    """Return Modal's client.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        client = importlib.import_module("modal")
        importlib.import_module("modal.exception")
    except ImportError as error:
        msg = "lift modal needs the modal package: pip install modal; modal setup"
        raise ConfigError(msg) from error
    return client


@contextmanager
def _blamed(client: Any) -> Iterator[None]:
    try:
        yield
    except LiftError:
        raise
    except client.exception.AuthError as error:
        msg = "Modal knows no login of this machine, or refuses it; run: modal setup"
        raise ConfigError(msg) from error
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        msg = f"Modal failed ({what}); what was deployed is there, run the command again"
        raise InfrastructureError(msg) from error


def _settled_key(client: Any, *, new_key: bool, tell: Tell) -> str:
    """Return the key that is a secret at Modal now; one that is made here is told, once."""
    mine = environment.key(KEY)
    there = any(secret.name == SECRET for secret in client.Secret.objects.list())
    if there and not mine and not new_key:
        msg = (
            f"the key of your Modal servers is not set here; set {KEY} to it,"
            " or replace it for all of them: lift modal deploy MODEL --new-key"
        )
        raise ConfigError(msg)
    key = mine if mine and not new_key else secrets.token_urlsafe(32)
    if there:
        client.Secret.from_name(SECRET).hydrate().update({KEY: key})
    else:
        client.Secret.objects.create(SECRET, {KEY: key})
    if key != mine:
        tell(f"a new key, which is shown only now; keep it: export {KEY}={key}")
    return key


def _url(function: Any) -> str:
    return str(function.get_web_url()).rstrip("/")


def _containers(function: Any) -> int:
    return int(function.get_current_stats().num_total_runners)


def _healthy(url: str, seconds: float) -> bool:
    try:
        # Modal redirects a request that has waited for 150 seconds to itself.
        answer = httpx.get(f"{url}/health", timeout=seconds, follow_redirects=True)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def _await_health(url: str, serving: Serving) -> float:
    began = time.monotonic()
    while (waited := time.monotonic() - began) < serving.start_seconds:
        if _healthy(url, serving.start_seconds - waited):
            return time.monotonic() - began
        time.sleep(ASKED_EVERY)
    msg = (
        f"{url} was not healthy within {serving.start_seconds} s; see: modal app logs {serving.app}"
    )
    raise InfrastructureError(msg)


def _require_key(url: str, key: str) -> None:
    """Make sure that the server answers to its key, and to nobody else.

    Raises:
        InfrastructureError: It does not.
    """
    with_key = {"Authorization": f"Bearer {key}"}
    try:
        known = httpx.get(f"{url}/v1/models", headers=with_key, timeout=60.0).status_code
        unknown = httpx.get(f"{url}/v1/models", timeout=60.0).status_code
    except httpx.HTTPError as error:
        msg = f"{url} was healthy and then gave no answer ({type(error).__name__})"
        raise InfrastructureError(msg) from error
    if known != httpx.codes.OK or unknown != httpx.codes.UNAUTHORIZED:
        msg = (
            f"{url} does not ask for the key as it should (status {known} with it, {unknown}"
            " without); a container with an older key may still run: deploy again in some minutes"
        )
        raise InfrastructureError(msg)


def _enter(serving: Serving, url: str) -> tuple[str, Path | None]:
    """Write the model's entry, and return its lines and the file; ``None`` if it was left alone."""
    fields = {
        "urls": [url],
        "key": KEY,
        "concurrency": serving.recipe.concurrency,
        "price": {"hour": serving.price.hour, "as_of": serving.price.as_of},
    }
    entry = lines_of(serving.model, fields)
    file = environment.own_models_file()
    try:
        text = file.read_bytes().decode() if file.exists() else ""
        new = with_fields(text, serving.model, fields)
        if new is None:
            return entry, None
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file.resolve(), new)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return entry, None
    return entry, file
