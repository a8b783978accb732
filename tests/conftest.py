"""What every test may ask for: a sandbox, the model folder, the embedded model's verified file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, settings

from lift_sys.inference.fetch import ensure_model
from lift_sys.sandbox import Sandbox, create_sandbox
from tests.postgres import PostgresServer, start_server

# litellm asks the network for prices where it is not told to leave that.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

# How long an example takes says something of the machine, not of the code. CI tries the same
# examples each time, so that what fails there fails here.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("any machine")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The strongest sandbox of this machine; a file that needs another one makes its own."""
    with closing(create_sandbox()) as made:
        yield made


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the tests' own."""
    with closing(start_server()) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database that processes can share, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The model folder of this machine: ``$LIFT_MODELS``, else the user's cache folder."""
    named = os.environ.get("LIFT_MODELS")
    return Path(named) if named else platformdirs.user_cache_path("lift-sys") / "models"


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small random weights; skips where the extra ``transformers`` is missing."""
    from tests.inference.tiny_weights import write_weights

    return write_weights(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def model_path(models_dir: Path) -> Path:
    """The default embedded model, fetched the first time."""
    return ensure_model("qwen2.5-coder-0.5b", models_dir)
