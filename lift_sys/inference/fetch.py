"""Getting a model's file and knowing that it is the right one.

Owns the model folder: where a file lies, how it gets there, and what was verified. The folder is
looked at first, then each source in turn. Nothing is used before its SHA-256 matches; a download
appears under its final name only then, in one step. A verified file is remembered by size and
modification time, so that a start does not read half a gigabyte. One process downloads at a time;
an interrupted download goes on where it stopped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lift_sys.errors import ModelError
from lift_sys.inference.catalogue import get, get_servable
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.sources import Source, SourceError, default_sources

Progress = Callable[[str, int, int], None]
"""Told the source, the bytes that are here and the bytes in all."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def locate(model_id: str, models_dir: Path) -> Path | None:
    """Return a model's file if it is there; its content is not looked at.

    Args:
        model_id: An id of the catalogue.
        models_dir: The model folder, or the path of the file itself.

    Raises:
        ModelError: There is no such model.
    """
    return _find(get(model_id), models_dir)


def ensure_model(model_id: str, models_dir: Path, *, progress: Progress | None = None) -> Path:
    """Return a model's verified file, fetching it if it is not there.

    Raises:
        ModelError: The id is unknown, the model is not a file, no source has it, the content is
            wrong or the disk is full.
    """
    info = get_servable(model_id)
    if not info.embedded:
        msg = f"model {model_id} is served by {info.backend}: there is no file to fetch"
        raise ModelError(msg)
    return ensure_file(info, models_dir, progress=progress)


def ensure_file(
    info: ModelInfo,
    models_dir: Path,
    *,
    progress: Progress | None = None,
    sources: Sequence[Source] | None = None,
) -> Path:
    """Do what ``ensure_model`` does for a model that need not be in the catalogue.

    Raises:
        ModelError: As for ``ensure_model``.
    """
    path = _find(info, models_dir)
    if path is None:
        path = _download(info, models_dir, progress, sources or default_sources())
    _verify_once(path, info)
    return path


def check_model(path: Path, info: ModelInfo) -> None:
    """Read a file and compare its size and SHA-256 with the catalogue's.

    Raises:
        ModelError: They differ, or the file cannot be read.
    """
    try:
        wrong = _difference(path, info)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; check its permissions"
        raise ModelError(msg) from error
    if wrong:
        msg = f"{path} is not {info.id}: {wrong}; delete it and run: lift models pull {info.id}"
        raise ModelError(msg)


def _find(info: ModelInfo, models_dir: Path) -> Path | None:
    if models_dir.is_file():
        return models_dir
    names = [info.filename]
    if info.hub is not None:
        names.append(PurePosixPath(info.hub.filename).name)
    return next((models_dir / n for n in names if (models_dir / n).is_file()), None)


def _difference(path: Path, info: ModelInfo) -> str:
    size = path.stat().st_size
    if size != info.bytes:
        return f"it has {size} bytes, expected {info.bytes}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != info.sha256:
        return f"its SHA-256 is {found[:16]}…, expected {info.sha256[:16]}…"
    return ""


def _verify_once(path: Path, info: ModelInfo) -> None:
    state = path.stat()
    seen = {"bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": info.sha256}
    sidecar = path.with_name(path.name + ".verified.json")
    try:
        if json.loads(sidecar.read_text(encoding="utf-8")) == seen:
            return
    except (OSError, ValueError):
        pass
    check_model(path, info)
    try:
        sidecar.write_text(json.dumps(seen), encoding="utf-8")
    except OSError:
        return  # A folder that cannot be written: the file is verified at every start.


def _download(
    info: ModelInfo, folder: Path, progress: Progress | None, sources: Sequence[Source]
) -> Path:
    staging = folder / f".{info.id}.download"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_process(folder):
            path = _find(info, folder)
            if path is None:
                path = _try_sources(info, folder, staging, progress, sources)
            return path
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise _disk_error(error, info, folder) from error


def _try_sources(
    info: ModelInfo,
    folder: Path,
    staging: Path,
    progress: Progress | None,
    sources: Sequence[Source],
) -> Path:
    staging.mkdir(exist_ok=True)
    here = sum(p.stat().st_size for p in staging.rglob("*") if p.is_file())
    if shutil.disk_usage(folder).free < info.bytes - here:
        raise OSError(errno.ENOSPC, "No space left on device")
    failures = []
    for source in sources:
        target = staging / "whole"

        def report(size: int, name: str = source.name) -> None:
            if progress is not None:
                progress(name, size, info.bytes)

        try:
            source.fetch(info, target, report)
            wrong = _difference(target, info)
        except SourceError as error:
            failures.append(f"{source.name} ({error})")
            continue
        if not wrong:
            path = folder / info.filename
            target.replace(path)
            shutil.rmtree(staging)
            return path
        shutil.rmtree(staging)
        staging.mkdir()
        failures.append(f"{source.name} (gave another file: {wrong})")
    raise ModelError(_nowhere(info, folder, failures))


def _nowhere(info: ModelInfo, folder: Path, failures: Sequence[str]) -> str:
    name = PurePosixPath(info.hub.filename).name if info.hub else info.filename
    return (
        f"model {info.id} is not in {folder} and could not be fetched; tried"
        f" {' and '.join(failures)}; connect to a network or put {name} into that folder"
    )


def _disk_error(error: OSError, info: ModelInfo, folder: Path) -> ModelError:
    if error.errno not in _FULL:
        return ModelError(f"cannot write to the model folder {folder}: {error.strerror or error}")
    need = f"{info.bytes / 1e6:,.0f} MB"
    return ModelError(
        f"the disk of the model folder {folder} is full: {info.id} needs {need};"
        " free some space or set LIFT_MODELS to a folder on another disk"
    )


@contextmanager
def _only_process(folder: Path) -> Iterator[None]:
    """Wait until no other process downloads into this folder."""
    import fcntl  # noqa: PLC0415 - POSIX only, and only here

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
