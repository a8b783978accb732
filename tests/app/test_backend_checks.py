"""``lift doctor`` on configured backends, against servers on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lift_sys.app import backend_checks, cli
from lift_sys.app.backend_checks import check_backends
from lift_sys.inference import catalogue, fetch, lm
from lift_sys.inference.own_models import read_own_models
from lift_sys.inference.scripted import ScriptedEngine
from tests.contracts.fake_server import Behaviour, FakeServer, Fault

KEY = "sk-doctor-secret"
KEYS = {"M_KEY": KEY}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(Behaviour(key=KEY)) as made:
        yield made


@pytest.fixture(autouse=True)
def shipped_afterwards() -> Iterator[None]:
    yield
    catalogue.use(())


def entry(url: str, **fields: Any) -> dict[str, Any]:
    return {"backend": "vllm", "name": "small", "urls": [url], "key": "M_KEY", **fields}


def write(folder: Path, entries: dict[str, dict[str, Any]]) -> Path:
    """Write a models.toml: JSON values are TOML values here."""
    lines: list[str] = []
    for model, fields in entries.items():
        lines.append(f"[{json.dumps(model)}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    (folder / "models.toml").write_text("\n".join(lines) + "\n")
    return folder / "models.toml"


def check(
    folder: Path, entries: dict[str, dict[str, Any]], keys: dict[str, str] | None = None
) -> dict[str, tuple[str, bool]]:
    """Return what is said of each model, and whether it is good."""
    own = read_own_models(write(folder, entries))
    catalogue.use(own)
    lines = check_backends(own, KEYS if keys is None else keys, folder / "no models")
    said = [(line.removeprefix("backend ").partition(": "), good) for line, good in lines]
    return {name: (words, good) for (name, _, words), good in said}


def test_a_backend_that_answers_is_good(server: FakeServer, tmp_path: Path) -> None:
    (words, good) = check(tmp_path, {"m": entry(server.url)})["m"]

    assert good
    assert words.startswith("answers (")
    assert server.bodies[-1]["response_format"]["json_schema"]["strict"] is True
    assert server.bodies[-1]["max_tokens"] <= 64


@pytest.mark.parametrize(
    ("fields", "keys", "words"),
    [
        ({}, {"M_KEY": "sk-other"}, "set the right key in M_KEY"),
        ({}, {}, "wants a key and none was sent (401)"),
        ({"urls": ["http://127.0.0.1:9/v1"]}, KEYS, "is it running, and is the URL right?"),
        ({"urls": ["URL/v2"]}, KEYS, "its URL should end in /v1"),
        ({"urls": ["ftp://a"]}, KEYS, "is no URL of vLLM"),
        ({"name": "large"}, KEYS, "does not serve 'large' but small; correct the name of model m"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    server: FakeServer, tmp_path: Path, fields: dict[str, Any], keys: dict[str, str], words: str
) -> None:
    urls = [url.replace("URL", server.url[:-3]) for url in fields.get("urls", [server.url])]
    said, good = check(tmp_path, {"m": entry(server.url, **{**fields, "urls": urls})}, keys)["m"]

    assert not good
    assert words in said
    assert "\n" not in said
    assert all(key not in said for key in keys.values())


def test_a_server_without_structured_outputs(tmp_path: Path) -> None:
    with FakeServer(Behaviour(structured=False)) as server:
        models = {"m": entry(server.url), "w": entry(server.url, structured="words")}
        said = check(tmp_path, models)

    assert not said["m"][1]
    assert "has no structured outputs" in said["m"][0]
    assert said["w"][1], said["w"]


def test_a_web_page_and_an_answer_that_is_none(server: FakeServer, tmp_path: Path) -> None:
    server.faults.append(Fault(200, "<!doctype html><title>Welcome</title>"))

    assert "a web page (Welcome)" in check(tmp_path, {"m": entry(server.url)})["m"][0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "answers with an empty text"),
        ('{"answer": "perhaps"}', "does not keep to the schema that it is given"),
        ("I am ready to", "does not keep to the schema that it is given: it answers 'I am"),
    ],
)
def test_an_answer_that_the_schema_does_not_allow(
    server: FakeServer, tmp_path: Path, text: str, words: str
) -> None:
    check(tmp_path, {"m": entry(server.url)})
    probe, _ = server.bodies
    right = server.respond(
        "POST",
        "/v1/chat/completions",
        {"authorization": f"Bearer {KEY}"},
        json.dumps(probe).encode(),
    ).body
    assert isinstance(right, dict)
    message = {"role": "assistant", "content": text}
    wrong = {**right, "choices": [{**right["choices"][0], "message": message}]}
    server.faults.extend([Fault(), Fault(200, wrong)])

    said, good = check(tmp_path, {"m": entry(server.url)})["m"]
    assert not good
    assert words in said


def test_all_are_asked_at_once_and_none_is_waited_for_longer_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_checks, "SECONDS", 6.0)
    monkeypatch.setattr(backend_checks, "CALL_SECONDS", 5.0)
    import dspy  # noqa: F401  # before the clock runs

    with ExitStack() as stack:
        slow = [stack.enter_context(FakeServer(Behaviour(latency=0.5))) for _ in range(16)]
        dead = stack.enter_context(FakeServer(Behaviour(latency=60)))
        models = {f"m{i}": entry(server.url) for i, server in enumerate(slow)}
        began = time.monotonic()
        said = check(tmp_path, {**models, "dead": entry(dead.url)})
        took = time.monotonic() - began

    assert took < 16 * 2 * 0.5
    assert [name for name, (_, good) in said.items() if not good] == ["dead"]
    assert "gave no answer within 5 s" in said["dead"][0]


LIBRARIES = """
import sys
from pathlib import Path
from lift_sys.app import backend_checks
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import ModelInfo
own = [ModelInfo(id=sys.argv[1], backend=sys.argv[1], name="openai/x", urls=("http://127.0.0.1:9",))]
catalogue.use(own)
loaded = []
def ask(*_):
    loaded.append("litellm" in sys.modules)
    return "", 0.0
backend_checks._ask = ask
list(backend_checks.check_backends(own, {}, Path("no models")))
print(loaded)
"""


@pytest.mark.parametrize("backend", ["provider", "vllm"])
def test_the_libraries_of_a_provider_are_loaded_before_the_clock_runs(backend: str) -> None:
    command = [sys.executable, "-c", LIBRARIES, backend]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str([backend == "provider"])


def test_a_chain_is_as_good_as_its_members(server: FakeServer, tmp_path: Path) -> None:
    chains = {
        "good": {"backend": "chain", "members": ["m", "n"]},
        "bad": {"backend": "chain", "members": ["m", "lost"]},
        "away": {"backend": "chain", "members": ["m", "qwen2.5-coder-0.5b"]},
        "typo": {"backend": "chain", "members": ["m", "qwen2.5-coder"]},
    }
    models = {name: entry(server.url) for name in ("m", "n")}
    lost = entry("http://127.0.0.1:9/v1")
    chains["deep"] = {"backend": "chain", "members": ["m>n", "m"]}
    chains["none"] = entry(server.url, members=["m"])
    said = check(tmp_path, {**models, "lost": lost, **chains})

    assert said["good"] == ("all members answer", True)
    assert said["bad"] == ("cannot ask lost", False)
    assert said["away"] == ("cannot ask qwen2.5-coder-0.5b", False)
    assert "lift models pull" in said["qwen2.5-coder-0.5b"][0]
    assert said["typo"] == ("cannot ask qwen2.5-coder", False)
    assert "unknown model" in said["qwen2.5-coder"][0]
    assert said["deep"][0].startswith("the chain deep has the chain m>n in it")
    assert said["none"][0].startswith("model none has members and backend")
    assert [said[name][1] for name in ("deep", "none")] == [False, False]


def test_what_is_not_configured_is_not_asked(server: FakeServer, tmp_path: Path) -> None:
    prices = {"concurrency": 3}
    said = check(tmp_path, {"qwen2.5-coder-7b": prices, "claude": prices, "m": entry(server.url)})

    assert list(said) == ["m"]


def test_the_whole_entry_holds_again_afterwards(server: FakeServer, tmp_path: Path) -> None:
    check(tmp_path, {"m": entry(server.url, timeout=123.0)})

    assert catalogue.get("m").timeout == 123.0


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_command_ends_with_2_where_a_backend_is_broken(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = write(tmp_path, {"m": entry(server.url, name=name)})
    monkeypatch.setenv("LIFT_CATALOGUE", str(file))
    monkeypatch.setenv("LIFT_MODELS", str(tmp_path / "no models"))
    monkeypatch.setenv("M_KEY", KEY)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    done = CliRunner().invoke(cli.app, ["doctor"])

    (line,) = [line for line in done.stdout.splitlines() if "backend m:" in line]
    assert (done.exit_code, line[:3]) == ((0, "ok ") if name == "small" else (2, "!! "))
    assert KEY not in done.output


@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_a_model_of_this_machine_may_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(backend_checks, "SECONDS", 1.0)

    def build(*_: Any, **__: Any) -> Ready:
        time.sleep(seconds)
        return Ready()

    monkeypatch.setattr(lm, "build_lm", build)
    monkeypatch.setattr(
        fetch, "locate", lambda name, _: tmp_path if name.endswith("0.5b") else None
    )
    ((line, good),) = check_backends((), {}, tmp_path)

    assert good
    assert ("no answer yet" in line) == (seconds > 1)


class Ready:
    """A model that answers as it should."""

    engine = ScriptedEngine(lambda _: '{"answer": "ready"}')


@pytest.mark.model
def test_the_embedded_model_answers(model_path: Path) -> None:
    lines = dict(check_backends((), {}, model_path.parent))

    (mine,) = [line for line in lines if line.startswith("backend qwen2.5-coder-0.5b: ")]
    assert lines[mine], mine
