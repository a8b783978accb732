"""Keys of providers, those that litellm finds itself too: never said, whoever repeats them."""

from __future__ import annotations

from typing import Any

import pytest

from lift_sys.errors import ConfigError
from lift_sys.inference.failures import EngineError, StatusError
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.provider import connect
from tests.inference.chat_server import BODY, KEY, QUICK, Server, failure

pytestmark = pytest.mark.filterwarnings("ignore:Item 'summary' on TypedDict")  # litellm's own
ENVIRONMENT_KEY = "sk-of-the-environment"


def test_a_key_that_cannot_be_sent_is_refused_before_anything_is(server: Server) -> None:
    with pytest.raises(ConfigError, match="the key of openai/some-model in M has characters"):
        connect(server.info(key="M"), "sk-späh")
    url = server.url.replace("//", "//me:hunter2pass@")
    with pytest.raises(ConfigError, match="holds a password and M a key") as caught:
        connect(server.info(key="M", urls=(url,)), KEY)
    assert "hunter2pass" not in str(caught.value)


@pytest.fixture
def keyed_by_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> ModelInfo:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", ENVIRONMENT_KEY)
    return ModelInfo(id="openai/some-model", backend="provider", name="openai/some-model")


@pytest.mark.parametrize("status", [400, 401, 404, 429])
@pytest.mark.parametrize("words", [f"bad project for Bearer {ENVIRONMENT_KEY}", ENVIRONMENT_KEY])
def test_a_key_that_litellm_found_is_never_said(
    loop: Any, server: Server, keyed_by_environment: ModelInfo, status: int, words: str
) -> None:
    server.answers = [failure(status, words)]
    with pytest.raises(EngineError) as caught:
        loop(connect(keyed_by_environment, None, retries=QUICK)(BODY))

    assert server.headers[0]["authorization"] == f"Bearer {ENVIRONMENT_KEY}"
    assert ENVIRONMENT_KEY not in str(caught.value) + getattr(caught.value, "said", "")


def test_a_key_in_the_environment_that_cannot_be_sent_is_no_passing_fault(
    loop: Any, keyed_by_environment: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-späh-in-der-umgebung")
    with pytest.raises(StatusError, match="has characters that no key has; correct it") as caught:
        loop(connect(keyed_by_environment, None, retries=QUICK)(BODY))

    assert "späh" not in str(caught.value)
