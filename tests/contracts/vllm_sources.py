"""Two sources of real vLLM answers: the server of ./scripts/test-vllm, and what was recorded of it.

Owns the environment variables that name the server, which nothing but tests reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lift_sys.inference.engine import ChatEngine
from lift_sys.inference.loop import submit
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from lift_sys.inference.vllm import connect
from tests.contracts.recorder import Recorder, Replay, read, write

RECORDINGS = Path(__file__).parent / "recordings" / "vllm.jsonl"
MODEL = "qwen2.5-coder-0.5b-vllm"
CONTEXT = 4096
CONCURRENCY = 16
URL, KEY, RECORD = "LIFT_TEST_VLLM_URL", "LIFT_TEST_VLLM_KEY", "LIFT_TEST_VLLM_RECORD"


@dataclass(frozen=True)
class Source:
    """Who answers.

    Attributes:
        url: Of the API.
        key: The right one.
        transport: Carries the requests; ``None`` is the usual one, and nothing is recorded.
    """

    url: str
    key: str
    transport: httpx.AsyncBaseTransport | None = None

    def engine(
        self, *, name: str = MODEL, key: str | None = None, seconds: float = 600.0
    ) -> ChatEngine:
        """Return our own client of it, which asks once and never again."""
        info = ModelInfo(id="m", backend="vllm", name=name, urls=(self.url,), timeout=seconds)
        send = connect(info, key or self.key, retries=Retries(tries=1), transport=self.transport)
        return ChatEngine(send, "m", concurrency=CONCURRENCY)


def recorded() -> Source:
    """Return the recordings as a source."""
    return Source("http://recorded/v1", "any-key", Replay(read(RECORDINGS)))


def real(transport: httpx.AsyncBaseTransport | None = None) -> Source:
    """Return the server as a source; skip the test where there is none."""
    if URL not in os.environ:
        pytest.skip(f"no server: {URL} is not set; ./scripts/test-vllm starts one and sets it")
    return Source(os.environ[URL], os.environ[KEY], transport)


@pytest.fixture(scope="session")
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """Keeps what the server answers; replaces the recordings if that is asked and all passes."""
    made = Recorder()
    yield made
    submit(made.aclose()).result()
    if RECORD in os.environ and not request.session.testsfailed:
        write(Path(os.environ[RECORD]), made.exchanges.values())


@pytest.fixture(params=["recorded", pytest.param("real", marks=pytest.mark.vllm)])
def source(request: pytest.FixtureRequest) -> Source:
    """Each source of answers in turn."""
    if request.param == "recorded":
        return recorded()
    return real(request.getfixturevalue("recorder"))
