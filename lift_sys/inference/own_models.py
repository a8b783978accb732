"""The user's own models: servers, keys, prices and chains, from one TOML file.

Owns the file's form. A table is a model, named by its id; with the id of a shipped one it changes
that one's fields and leaves the others. A key is never in the file: the file names the environment
variable that holds it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lift_sys.errors import ConfigError
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import ModelInfo

_BACKEND = "backend"
_OF_THE_FILE = ("sha256", "bytes", "hub", "parts")


def read_own_models(path: Path) -> tuple[ModelInfo, ...]:
    """Return the models of a file; none where there is no such file.

    Raises:
        ConfigError: The file is not TOML, or a table is not a model; the message says which.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path} cannot be read as TOML: {error}; correct it or remove it"
        raise ConfigError(msg) from error
    return tuple(_model(path, model_id, fields) for model_id, fields in tables.items())


def _model(path: Path, model_id: str, fields: Any) -> ModelInfo:
    if not isinstance(fields, dict):
        msg = f"{path}: {model_id} must be a table, [{model_id}], with the fields of a model"
        raise ConfigError(msg)
    known = {info.id: info for info in catalogue.shipped()}
    base: dict[str, Any] = {"name": model_id}
    if model_id in known:
        base = known[model_id].model_dump()
        if fields.get(_BACKEND, base[_BACKEND]) != base[_BACKEND]:
            # Another backend holds the weights in another form, of which no hash is known.
            base = {k: v for k, v in base.items() if k not in _OF_THE_FILE}
    elif _BACKEND not in fields:
        msg = f'{path}: [{model_id}] is no shipped model and needs a backend, e.g. "vllm"'
        if any(isinstance(value, dict) for value in fields.values()):
            msg = f'{path}: [{model_id}.…] needs quotes, as has every id with a dot: ["qwen2.5-…"]'
        raise ConfigError(msg)
    try:
        return ModelInfo.model_validate({**base, **fields, "id": model_id})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"{path}: [{model_id}] {where}: {first['msg']}; see docs/backends.md"
        # The error itself repeats the values, of which one may be a key.
        raise ConfigError(msg) from None
