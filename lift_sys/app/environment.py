"""What the app takes from its surroundings: environment variables, folders, shipped data.

Owns every read of ``os.environ`` and every default path.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import platform
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import platformdirs

import lift_sys
from lift_sys.errors import ConfigError, DatasetError
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.own_models import read_own_models
from lift_sys.record import digest

APP_NAME = "lift-sys"
SHIPPED = ("train", "dev", "test", "phase3")
_REPORTED = ("lift-sys", "dspy", "optuna", "pydantic", "xllamacpp")


def prepare() -> None:
    """Take up the user's own models, and quieten libraries before they are imported.

    They are kept from reaching for the network and from telling what is recorded anyway.

    Raises:
        ConfigError: The file of the user's own models is wrong.
    """
    catalogue.use(read_own_models(own_models_file()))
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    logging.getLogger("dspy").setLevel(logging.ERROR)
    # It tells every URL that is asked for, and a URL may carry a token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Parsing what a model wrote warns of its bad escapes; they are the model's, not the user's.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"<unknown>")
    warnings.filterwarnings("ignore", category=SyntaxWarning, module=r"<unknown>")


def models_dir() -> Path:
    """Return where model files are: ``$LIFT_MODELS``, else the user's cache."""
    named = os.environ.get("LIFT_MODELS")
    if named:
        return Path(named).expanduser()
    return platformdirs.user_cache_path(APP_NAME) / "models"


def own_models_file() -> Path:
    """Return the user's own models: ``$LIFT_CATALOGUE``, else in the user's configuration."""
    named = os.environ.get("LIFT_CATALOGUE")
    if named:
        return Path(named).expanduser()
    return platformdirs.user_config_path(APP_NAME) / "models.toml"


def keys_of(models: Iterable[ModelInfo]) -> dict[str, str]:
    """Return the keys that are set, by the name of their environment variable."""
    names = {info.key for info in models if info.key}
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def key(name: str) -> str | None:
    """Return the key that a variable holds, if it is set."""
    return os.environ.get(name) or None


def ledger_file() -> Path:
    """Return where openings of test sets are noted, in the user's data folder."""
    return platformdirs.user_data_path(APP_NAME) / "test-openings.jsonl"


def programs_dir() -> Path:
    """Return where artifacts that have a name are, in the user's data folder."""
    return platformdirs.user_data_path(APP_NAME) / "programs"


def data_file(name: str) -> Path:
    """Return the file of a shipped set, or the path itself.

    Raises:
        DatasetError: Neither a shipped set nor a file.
    """
    shipped = _shipped_file(name)
    if shipped is not None:
        return shipped
    path = Path(name).expanduser()
    if not path.is_file():
        msg = f"{name!r} is neither a shipped set ({', '.join(SHIPPED)}) nor a task file"
        raise DatasetError(msg)
    return path


def shipped_sets() -> list[str]:
    """Return the names of the sets that are here."""
    return [name for name in SHIPPED if _shipped_file(name)]


def _shipped_file(name: str) -> Path | None:
    package = Path(lift_sys.__file__).parent
    folders = (package / "datasets", package.parent / "datasets")
    files = (folder / f"{name}.jsonl" for folder in folders if name in SHIPPED)
    return next((file for file in files if file.is_file()), None)


def source_root() -> Path:
    """Return the folder that holds our packages."""
    return Path(lift_sys.__file__).parent.parent


def lock_file() -> Path:
    """Return the locked dependencies: of the clone, or those that the package carries.

    Raises:
        ConfigError: Neither is there.
    """
    package = Path(lift_sys.__file__).parent
    places = (package / "requirements.lock", source_root() / "requirements.lock")
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        msg = f"no requirements.lock in {source_root()} or {package}; install lift-sys again"
        raise ConfigError(msg)
    return found


def source_digest() -> str:
    """Return the SHA-256 of the code and data that decide what an executed task gives.

    Rows carry it in their address, so that a changed program, metric or sandbox is run again, and
    so that a run takes none that was made with another Python or DSPy. The app and the optimizers
    are left out: they decide what is run, not what comes of it.
    """
    inner = ("ir", "knowledge", "inference", "sandbox")
    sources = _digest(("programs", "metrics", *(f"lift_sys/{name}" for name in inner)))
    versions = search_versions()
    return digest([sources, versions["python"], versions["dspy"]])


def whole_digest() -> str:
    """Return the SHA-256 of all code and data: what decides which tasks are executed, too."""
    return _digest(("programs", "metrics", "optimizers", "lift_sys"))


def _digest(parts: Iterable[str]) -> str:
    root = source_root()
    kinds = ("*.py", "*.toml", "*.json")
    files = sorted(p for part in parts for kind in kinds for p in (root / part).rglob(kind))
    whole = hashlib.sha256()
    for path in files:
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def search_versions() -> dict[str, str]:
    """Return the versions on which it depends what a search tries and what code does."""
    python = ".".join(platform.python_version_tuple()[:2])
    libraries = {name: importlib.metadata.version(name) for name in ("dspy", "optuna", "numpy")}
    return {"python": python, **libraries}


def describe() -> dict[str, str]:
    """Return versions and machine, for a run's record."""
    versions = {name: importlib.metadata.version(name) for name in _REPORTED}
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpus": str(os.cpu_count()),
        "implementation": sys.implementation.name,
        "source": source_digest(),
        **versions,
    }
