"""A stand-in for ``modal`` as ``lift modal`` uses it: apps, secrets, and a server of real HTTP.

Names must not be misspelt, objects must be hydrated before they are asked, and a server asks for
the key that its secret had when it was deployed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace
from typing import Any


class NotFoundError(Exception):
    """There is nothing of that name."""


class AuthError(Exception):
    """No login."""


class StandingServer:
    """A server that is not healthy for its first requests, and asks for a key."""

    def __init__(self, cloud: StandingCloud, key: str) -> None:
        self.asked: list[str] = []
        self.key = key
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                cloud.containers = 1
                self.send_response(outer.status(cloud, self.path, self.headers["authorization"]))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def status(self, cloud: StandingCloud, path: str, sent: str | None) -> int:
        if path == "/health":
            cloud.cold_answers -= 1
            return 503 if cloud.cold_answers >= 0 else 200
        return 200 if cloud.lets_all_in or sent == f"Bearer {self.key}" else 401

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


class StandingCloud(ModuleType):
    """Stands in for the module."""

    def __init__(self) -> None:
        super().__init__("modal")
        self.exception = ModuleType("modal.exception")
        self.exception.NotFoundError = NotFoundError  # type: ignore[attr-defined]
        self.exception.AuthError = AuthError  # type: ignore[attr-defined]
        self.Volume = self.Image = self
        self.Secret = SimpleNamespace(objects=self, from_name=self.secret)
        self.Function = SimpleNamespace(from_name=self.function)
        self.App = StandingApp
        StandingApp.cloud = self
        self.kept: dict[str, dict[str, str]] = {}
        self.servers: dict[str, StandingServer] = {}
        self.fetched: list[str] = []
        self.stopped: list[str] = []
        self.containers = 0
        self.cold_answers = 0
        self.lets_all_in = False
        self.fails: Exception | None = None

    def close(self) -> None:
        for server in self.servers.values():
            server.close()

    @contextmanager
    def enable_output(self) -> Iterator[None]:
        yield

    # Secrets
    def list(self) -> list[Any]:
        if self.fails:
            raise self.fails
        return [SimpleNamespace(name=name) for name in self.kept]

    def create(self, name: str, values: dict[str, str]) -> None:
        assert name not in self.kept
        self.kept[name] = values

    def secret(self, name: str, required_keys: Any = ()) -> Any:
        if required_keys:
            return SimpleNamespace(name=name)
        live = SimpleNamespace(update=self.kept[name].update)
        return SimpleNamespace(hydrate=lambda: live)

    # Images, volumes, decorators
    def from_name(self, name: str, *, create_if_missing: bool) -> str:
        assert create_if_missing
        return name

    def from_registry(self, tag: str, *, add_python: str) -> StandingCloud:
        assert tag
        assert add_python
        return self

    def entrypoint(self, words: Any) -> StandingCloud:
        return self

    uv_pip_install = env = entrypoint

    def web_server(self, port: int, *, startup_timeout: float) -> Callable[[Any], Any]:
        assert port
        assert startup_timeout
        return lambda function: function

    def concurrent(self, *, max_inputs: int) -> Callable[[Any], Any]:
        assert max_inputs
        return lambda function: function

    # What is deployed
    def function(self, app: str, name: str) -> Any:
        def remote() -> None:
            assert name == "fetch"
            self.fetched.append(app)

        def hydrate() -> Any:
            assert name == "serve"
            if app not in self.servers:
                raise NotFoundError(app)
            stats = SimpleNamespace(num_total_runners=self.containers)
            return SimpleNamespace(
                get_web_url=lambda: self.servers[app].url, get_current_stats=lambda: stats
            )

        return SimpleNamespace(remote=remote, hydrate=hydrate)


class StandingApp:
    """Stands in for ``modal.App``."""

    cloud: StandingCloud

    def __init__(self, name: str) -> None:
        self.name = name
        self.secrets: list[str] = []

    def function(self, **options: Any) -> Callable[[Any], Any]:
        self.secrets += [secret.name for secret in options.get("secrets", ())]
        return lambda function: function

    def deploy(self, *, name: str) -> None:
        assert name == self.name
        (secret,) = self.secrets
        old = self.cloud.servers.pop(name, None)
        if old:
            old.close()
        key = self.cloud.kept[secret]["VLLM_API_KEY"]
        self.cloud.servers[name] = StandingServer(self.cloud, key)

    @classmethod
    def lookup(cls, name: str) -> Any:
        if name not in cls.cloud.servers:
            raise NotFoundError(name)

        def stop() -> None:
            cls.cloud.stopped.append(name)
            cls.cloud.servers.pop(name).close()

        return SimpleNamespace(stop=stop)
