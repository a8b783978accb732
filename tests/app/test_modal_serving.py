"""``lift modal`` against a stand-in for Modal's client; the health of servers is real HTTP."""

from __future__ import annotations

import inspect
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lift_sys.app import cli, modal_serving
from lift_sys.errors import ConfigError, InfrastructureError, LiftError
from lift_sys.inference import catalogue
from lift_sys.inference.modal_app import CONFIGURATIONS, configuration
from lift_sys.inference.own_models import read_own_models
from tests.app.standing_cloud import AuthError, StandingCloud

MODEL = "qwen2.5-coder-7b"
APP = f"lift-sys-{MODEL}"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandingCloud]:
    made = StandingCloud()
    monkeypatch.setitem(sys.modules, "modal", made)
    monkeypatch.setitem(sys.modules, "modal.exception", made.exception)
    monkeypatch.setattr(modal_serving, "ASKED_EVERY", 0.001)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the user's models.toml, which is not there yet."""
    file = tmp_path / "new" / "models.toml"
    monkeypatch.setenv("LIFT_CATALOGUE", str(file))
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    yield file
    catalogue.use(())


def lift(*arguments: str) -> Result:
    done = CliRunner().invoke(cli.app, ["modal", *arguments])
    if done.exception is not None:
        raise done.exception
    return done


def key_of(cloud: StandingCloud) -> str:
    return cloud.kept["lift-sys-vllm"]["VLLM_API_KEY"]


def test_deploy_enters_the_url_and_shows_time_price_and_key(
    cloud: StandingCloud, own: Path
) -> None:
    cloud.cold_answers = 3
    done = lift("deploy", MODEL)

    url = cloud.servers[APP].url + "v1"
    assert cloud.fetched == [APP]
    assert cloud.servers[APP].asked.count("/health") == 4
    assert done.stdout.startswith(f"{url}\ncold start ")
    assert " s; 1.10 USD an hour while it is up, as of 2026-11-22\n" in done.stdout
    assert str(own) in done.stdout
    assert done.stderr.count(f"export VLLM_API_KEY={key_of(cloud)}") == 1
    assert key_of(cloud) not in done.stdout
    (info,) = read_own_models(own)
    assert (info.id, info.urls, info.key, info.concurrency) == (MODEL, (url,), "VLLM_API_KEY", 32)
    assert info.price is not None
    assert info.price.hour == 1.10
    assert key_of(cloud) not in own.read_text()


def test_the_key_is_never_shown_again(
    cloud: StandingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    lift("deploy", MODEL)
    first = key_of(cloud)
    monkeypatch.setenv("VLLM_API_KEY", first)
    outputs = [lift("deploy", MODEL), lift("deploy", "deepseek-coder-v2"), lift("status")]

    assert key_of(cloud) == first
    assert all(first not in done.output for done in outputs)


def test_a_key_that_is_set_here_is_taken(
    cloud: StandingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "my-own-key")
    done = lift("deploy", MODEL)

    assert key_of(cloud) == "my-own-key"
    assert "my-own-key" not in done.output


def test_a_key_that_is_at_modal_and_not_here_is_replaced_on_demand(cloud: StandingCloud) -> None:
    lift("deploy", MODEL)
    first = key_of(cloud)
    with pytest.raises(ConfigError, match=r"set VLLM_API_KEY to it, or replace it .* --new-key"):
        lift("deploy", MODEL)
    assert key_of(cloud) == first
    done = lift("deploy", MODEL, "--new-key")

    assert key_of(cloud) != first
    assert f"VLLM_API_KEY={key_of(cloud)}" in done.stderr


def test_what_else_is_in_the_file_stays(cloud: StandingCloud, own: Path) -> None:
    own.parent.mkdir()
    text = f'# mine\n["{MODEL}"]  # first\ntimeout = 60\n\n[claude] # second\nconcurrency = 2\n'
    own.write_text(text)
    lift("deploy", MODEL)

    new = own.read_text()
    assert [line for line in new.splitlines() if line in text] == text.splitlines()
    assert tomllib.loads(new)[MODEL]["urls"] == [cloud.servers[APP].url + "v1"]


def test_a_file_that_cannot_be_edited_is_left_and_the_lines_are_printed(
    cloud: StandingCloud, own: Path
) -> None:
    own.parent.mkdir()
    text = f'["{MODEL}"]\nurls = [\n  "http://old/v1",\n]\n'
    own.write_text(text)
    done = lift("deploy", MODEL)

    assert own.read_text() == text
    lines = done.stdout.split("\n\n")[1]
    assert tomllib.loads(lines)[MODEL]["urls"] == [cloud.servers[APP].url + "v1"]


def test_a_server_that_lets_everybody_in_is_told(cloud: StandingCloud, own: Path) -> None:
    cloud.lets_all_in = True
    with pytest.raises(InfrastructureError, match=r"does not ask for the key.*200 without"):
        lift("deploy", MODEL)
    assert not own.exists()


def test_a_server_that_does_not_come_up_is_told(
    cloud: StandingCloud, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.cold_answers = 10**9
    short = configuration(MODEL).model_copy(update={"start_seconds": 1})
    monkeypatch.setattr(modal_serving, "configuration", lambda _: short)
    with pytest.raises(InfrastructureError, match=f"within 1 s; see: modal app logs {APP}"):
        lift("deploy", MODEL)
    assert not own.exists()


def test_a_container_that_was_up_is_no_cold_start(cloud: StandingCloud) -> None:
    cloud.containers = 1

    assert "an earlier container was still up" in lift("deploy", MODEL).stdout


def test_status_wakes_nothing(cloud: StandingCloud) -> None:
    lift("deploy", MODEL)
    server = cloud.servers[APP]
    server.asked.clear()
    cloud.containers = 0
    asleep = lift("status").stdout.splitlines()
    asked = list(server.asked)
    cloud.containers = 1
    awake = lift("status").stdout.splitlines()
    cloud.cold_answers = 1
    starting = lift("status").stdout.splitlines()

    assert not asked
    assert "asleep" in asleep[0]
    assert asleep[0].endswith(server.url + "v1")
    assert "healthy  http" in awake[0]
    assert "not healthy" in starting[0]
    assert [line.split()[0] for line in awake] == [s.model for s in CONFIGURATIONS]
    assert "32.00 USD/h  not deployed" in awake[2]


def test_stop_ends_the_app(cloud: StandingCloud) -> None:
    lift("deploy", MODEL)

    assert lift("stop", MODEL).stdout == f"{MODEL}: stopped\n"
    assert cloud.stopped == [APP]
    assert lift("stop", MODEL).stdout == f"{MODEL}: was not deployed\n"


@pytest.mark.parametrize("arguments", [("deploy", MODEL), ("status",), ("stop", MODEL)])
def test_without_the_package_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "modal", None)
    with pytest.raises(ConfigError, match="pip install modal; modal setup") as refused:
        lift(*arguments)
    assert refused.value.exit_code == 2


def test_without_a_login_one_sentence_says_so(cloud: StandingCloud) -> None:
    cloud.fails = AuthError("Token missing")
    with pytest.raises(ConfigError, match=r"no login of this machine.*modal setup") as refused:
        lift("deploy", MODEL)
    assert refused.value.exit_code == 2


def test_whatever_modal_raises_is_one_sentence(cloud: StandingCloud) -> None:
    cloud.fails = RuntimeError("two\nlines")
    with pytest.raises(LiftError, match=r"Modal failed \(RuntimeError: two lines\)"):
        lift("deploy", MODEL)


def test_a_model_without_a_configuration_is_refused(cloud: StandingCloud) -> None:
    with pytest.raises(ConfigError, match="no configuration for 'claude' on Modal"):
        lift("deploy", "claude")


@pytest.mark.parametrize("arguments", [("deploy", MODEL), ("status",), ("stop", MODEL)])
def test_the_real_client_without_a_login(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    pytest.importorskip("modal", reason="Modal's client is not installed; it is optional")
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "none.toml"))
    for name in ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"no login of this machine.*modal setup"):
        lift(*arguments)


def test_the_real_client_takes_every_call_that_is_made() -> None:
    modal = pytest.importorskip("modal", reason="Modal's client is not installed; it is optional")
    calls: list[tuple[Any, list[Any], dict[str, Any]]] = [
        (modal.App.lookup, ["app"], {}),
        (modal.App.stop, ["self"], {}),
        (modal.App.deploy, ["self"], {"name": "app"}),
        (modal.Secret.objects.list, ["self"], {}),
        (modal.Secret.objects.create, ["self", "name", {"VLLM_API_KEY": "key"}], {}),
        (modal.Secret.hydrate, ["self"], {}),
        (modal.Secret.update, ["self", {"VLLM_API_KEY": "key"}], {}),
        (modal.Function.from_name, ["app", "serve"], {}),
        (modal.Function.hydrate, ["self"], {}),
        (modal.Function.get_web_url, ["self"], {}),
        (modal.Function.get_current_stats, ["self"], {}),
        (modal.enable_output, [], {}),
    ]
    for function, positional, named in calls:
        inspect.signature(function).bind(*positional, **named)
    assert "num_total_runners" in modal.types.FunctionCurrentStats.__annotations__
    assert issubclass(modal.exception.NotFoundError, modal.Error)
