"""Artifacts by path, URL and name: what may be fetched, and how each refusal reads."""

from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lift_sys.app import artifact_sources, environment
from lift_sys.app.artifact_sources import fetch_artifact, save_named, shown
from lift_sys.app.environment import prepare
from lift_sys.app.export import save_artifact
from lift_sys.errors import ArtifactError, ConfigError, StoreError
from tests.app.made_artifacts import artifact_of, program_of

ARTIFACT = artifact_of(program_of())


class Server(http.server.ThreadingHTTPServer):
    """Serves one artifact, and everything that can go wrong with one."""

    content = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/best.json":
                self.give(self.server.content)
            case "/cut.json":
                self.give(self.server.content[:100])
            case "/near":
                self.lead("/best.json")
            case "/away":
                self.lead("http://example.invalid/best.json")
            case "/endless":
                self.endless(pause=0.0)
            case "/slow":
                self.endless(pause=0.05)
            case _:
                self.send_error(404)

    def give(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def lead(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def endless(self, pause: float) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * 65536)
                time.sleep(pause)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = save_artifact(ARTIFACT, tmp_path_factory.mktemp("served") / "best.json")
    with Server(("127.0.0.1", 0), Answers) as made:
        made.content = path.read_bytes()
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give named programs a folder of their own."""
    monkeypatch.setattr(environment, "programs_dir", lambda: tmp_path / "named")
    return tmp_path


def refusal(source: str | Path, **options: Any) -> str:
    with pytest.raises(ArtifactError) as caught:
        fetch_artifact(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_same_artifact_comes_from_everywhere(server: Server, home: Path) -> None:
    path = save_artifact(ARTIFACT, home / "mit Leer.json")
    save_named(ARTIFACT, "greeter-1.0")
    for source in (path, str(path), path.as_uri(), f"{server.url}/best.json", "greeter-1.0"):
        assert fetch_artifact(source, ARTIFACT.sha256.upper()) == ARTIFACT
    assert fetch_artifact(f"{server.url}/near") == ARTIFACT
    assert fetch_artifact(f"{server.url.replace('127.0.0.1', 'localhost')}/best.json") == ARTIFACT


def test_another_hash_than_the_one_asked_for_is_refused(server: Server) -> None:
    message = refusal(f"{server.url}/best.json", sha256="0" * 64)
    assert f"its SHA-256 is {ARTIFACT.sha256}, not {'0' * 64}" in message


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/none.json", "the server answered 404"),
        ("/cut.json", "truncated or not an artifact"),
        ("/away", "not fetched by http:// from example.invalid"),
        ("/endless", "larger than the 16 MiB"),
    ],
)
def test_what_a_server_gives_instead_is_refused(server: Server, path: str, says: str) -> None:
    assert says in refusal(server.url + path)


def test_a_server_that_takes_too_long_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact_sources, "MOST_SECONDS", 0.2)
    assert "did not arrive within" in refusal(f"{server.url}/slow")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("http://example.com/best.json", "not fetched by http:// from example.com; use https://"),
        ("ftp://example.com/best.json", "not fetched by ftp://"),
        ("file://example.com/best.json", "not fetched by file:// from example.com"),
        ("http://127.0.0.1.example.com/x", "not fetched by http://"),
        ("http://127.0.0.1:9/best.json", "cannot fetch http://127.0.0.1:9/best.json: "),
        ("http://[::1/x", "malformed"),
        ("https://\x00/x", "is no artifact; give a path"),
        ("file:///no/such/best.json", "cannot read the artifact /no/such/best.json"),
        ("no-such-name", r"no program of that name (named programs: none)"),
        ("no/such.json", "No such file"),
    ],
)
def test_what_cannot_be_fetched_is_said(source: str, says: str) -> None:
    assert says in refusal(source)


def test_a_secret_in_a_url_is_not_told(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    prepare()
    host = server.url.removeprefix("http://")
    url = f"http://user:planted-1@{host}/none.json?token=planted-2"

    assert refusal(url) == f"cannot fetch http://{host}/none.json: the server answered 404"
    assert shown(url) == f"http://{host}/none.json"
    assert "planted" not in caplog.text


def test_a_file_here_goes_before_a_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = artifact_of(program_of(n=2))
    save_named(ARTIFACT, "best")
    monkeypatch.chdir(home)
    assert fetch_artifact("best") == ARTIFACT
    save_artifact(other, home / "best")
    assert fetch_artifact("best") == other


def test_a_missing_name_lists_those_that_are_there() -> None:
    save_named(ARTIFACT, "b")
    save_named(ARTIFACT, "a.1")
    assert "(named programs: a.1, b)" in refusal("c")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a b", "a\n"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a program"):
        save_named(ARTIFACT, name)


def test_a_data_folder_that_cannot_be_made(home: Path) -> None:
    (home / "named").write_text("in the way")
    with pytest.raises(StoreError, match="cannot make the folder"):
        save_named(ARTIFACT, "a")


@pytest.mark.parametrize("source", ["a\0b", 3, None])
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(ArtifactError, match="is no artifact; give a path"):
        fetch_artifact(source)
