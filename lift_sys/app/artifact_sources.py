"""Where an artifact comes from: a path, a URL, or a name in the user's data folder.

Owns the fetching. What arrives is trusted no more than any file: ``export`` checks it, and nothing
in it is executed.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from lift_sys.app import environment
from lift_sys.app.export import Artifact, load_artifact, parse_artifact, save_artifact
from lift_sys.errors import ArtifactError, ConfigError, StoreError

MOST_BYTES = 16 << 20
"""Largest artifact that is downloaded, in bytes; a bank of demos for every stage is below 2 MiB."""
MOST_SECONDS = 60.0
"""Longest download, in seconds."""
QUIET_SECONDS = 10.0
"""Longest that a server may say nothing, in seconds."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def fetch_artifact(source: str | Path, sha256: str | None = None) -> Artifact:
    """Read an artifact from wherever it is, and check that nobody changed it.

    Args:
        source: A path; a URL that begins with ``https://``, ``file://`` or, to this machine,
            ``http://``; or a name that ``save_named`` gave. A file here goes before a name.
        sha256: What the artifact's own SHA-256, which ``lift show`` prints, must be.

    Raises:
        ArtifactError: It cannot be had, or is truncated, changed, another one, or too new.
    """
    artifact = _read(source)
    if sha256 is not None and artifact.sha256 != sha256.lower():
        msg = f"{shown(source)} is another artifact: its SHA-256 is {artifact.sha256}, not {sha256}"
        raise ArtifactError(msg)
    return artifact


def save_named(artifact: Artifact, name: str) -> Path:
    """Keep an artifact under a name, in place of what had it before, and return its path.

    Raises:
        ConfigError: It cannot be a name.
        StoreError: The disk refused.
    """
    if not _NAME.fullmatch(name):
        msg = f"{name!r} cannot name a program; use up to 64 letters, digits, '.', '_' and '-'"
        raise ConfigError(msg)
    path = _named(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {path.parent}: {error.strerror}"
        raise StoreError(msg) from error
    return save_artifact(artifact, path)


def shown(source: str | Path) -> str:
    """Return what messages call a source: a URL without what may be secret in it."""
    if not _is_url(source):
        return str(source)
    url = _split(str(source))
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _read(source: str | Path) -> Artifact:
    given: Any = source
    if not isinstance(given, str | Path) or "\0" in str(given):
        msg = f"{given!r} is no artifact; give a path, a URL or the name of a program"
        raise ArtifactError(msg)
    if _is_url(source):
        url = _split(str(source))
        _refuse_unsafe(url)
        return load_artifact(_local_path(url)) if url.scheme == "file" else _download(str(source))
    path = Path(source)
    if isinstance(source, str) and _NAME.fullmatch(source) and not path.exists():
        path = _named(source)
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
            msg = (
                f"cannot read the artifact {source}: there is no such file here and no program of "
                f"that name (named programs: {known})"
            )
            raise ArtifactError(msg)
    return load_artifact(path)


def _named(name: str) -> Path:
    return environment.programs_dir() / f"{name}.json"


def _is_url(source: str | Path) -> bool:
    return isinstance(source, str) and "://" in source


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        msg = f"the URL of an artifact is malformed: {error}"
        raise ArtifactError(msg) from error


def _refuse_unsafe(url: SplitResult) -> None:
    local = url.hostname in _LOCAL
    if url.scheme == "https" or (url.scheme == "http" and local):
        return
    if url.scheme == "file" and (url.hostname is None or local):
        return
    msg = (
        f"artifacts are not fetched by {url.scheme}:// from {url.hostname}; use https://, a "
        "file:// URL of this machine, a path or a name"
    )
    raise ArtifactError(msg)


def _local_path(url: SplitResult) -> Path:
    return Path(unquote(url.path))


def _download(url: str) -> Artifact:
    import httpx  # noqa: PLC0415 - heavy

    where = shown(url)
    content = bytearray()
    deadline = time.monotonic() + MOST_SECONDS
    # A redirect may lead anywhere: every request is looked at, not only the first.
    hooks = {"request": [lambda request: _refuse_unsafe(_split(str(request.url)))]}
    plain = {"Accept-Encoding": "identity"}
    try:
        with (
            httpx.Client(follow_redirects=True, timeout=QUIET_SECONDS, event_hooks=hooks) as client,
            client.stream("GET", url, headers=plain) as response,
        ):
            if not response.is_success:
                msg = f"cannot fetch {where}: the server answered {response.status_code}"
                raise ArtifactError(msg)
            for chunk in response.iter_bytes():
                content += chunk
                _refuse_excess(len(content), deadline, where)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        msg = f"cannot fetch {where}: {why}"
        raise ArtifactError(msg) from error
    return parse_artifact(bytes(content), where)


def _refuse_excess(size: int, deadline: float, where: str) -> None:
    if size > MOST_BYTES:
        msg = f"{where} is larger than the {MOST_BYTES >> 20} MiB that an artifact may have"
        raise ArtifactError(msg)
    if time.monotonic() > deadline:
        msg = f"{where} did not arrive within {MOST_SECONDS:.0f} seconds"
        raise ArtifactError(msg)
