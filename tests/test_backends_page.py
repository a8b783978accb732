"""docs/backends.md: its example of a models.toml is one, and its tables say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from lift_sys.inference import catalogue
from lift_sys.inference.breaker import FAILURES, REST
from lift_sys.inference.modal_app import CONFIGURATIONS
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.own_models import read_own_models
from lift_sys.inference.retries import Retries
from lift_sys.inference.servers import REST_SECONDS
from tests.contracts.test_faults import LASTING, PASSING

PAGE = (Path(__file__).parent.parent / "docs" / "backends.md").read_text(encoding="utf-8")


TESTS = Path(__file__).parent


def section(title: str) -> str:
    """Return the text of a section, without those below it."""
    _, _, after = PAGE.partition(f"## {title}\n")
    assert after, title
    return after.split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all rows of the tables in a text, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if not re.fullmatch(r"[-:| ]+", " ".join(row))]


def test_the_example_is_a_models_toml(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", section("Your own models"), re.DOTALL)
    (tmp_path / "models.toml").write_text(example)
    own = {info.id: info for info in read_own_models(tmp_path / "models.toml")}

    shipped = catalogue.get("qwen2.5-coder-7b")
    assert list(own) == ["qwen2.5-coder-7b", "my-adapter", "claude", "careful"]
    assert own["qwen2.5-coder-7b"].name == shipped.name
    assert own["claude"].backend == "anthropic"
    assert own["careful"].members == ("qwen2.5-coder-7b", "claude")


def test_every_field_that_the_page_names_is_one() -> None:
    named = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("Your own models"), re.MULTILINE)
    fields = {field for cell in named for field in re.findall(r"`(\w+)`", cell)}

    assert {"backend", "urls", "key", "price"} <= fields <= ModelInfo.model_fields.keys()


def test_the_configurations_on_modal_are_those_of_the_code() -> None:
    shown = {row[0].strip("`"): row[1:] for row in rows(section("Modal")) if "coder" in row[0]}

    assert list(shown) == [serving.model for serving in CONFIGURATIONS]
    for serving in CONFIGURATIONS:
        gpus, hour, requests, idle = shown[serving.model]
        assert gpus.split(" ")[0] == serving.hardware
        assert hour == f"{serving.price.hour:.2f}"
        assert requests == str(serving.recipe.concurrency)
        assert idle.split(" ")[0] == str(serving.idle_seconds)


def test_every_fault_of_the_contract_is_in_the_table_once() -> None:
    first, *_ = section("Faults").split("The embedded model has")
    named = [name for row in rows(first) for name in re.findall(r"`([^`]+)`", row[0])]

    assert sorted(set(named) & {*PASSING, *LASTING}) == sorted([*PASSING, *LASTING])
    assert len(named) == len(set(named))


def test_every_row_of_the_faults_names_tests_that_are_there() -> None:
    written = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    defined = set(re.findall(r"^def (test_\w+)\(", written, re.MULTILINE))
    shown = [row[-1] for row in rows(section("Faults")) if row[-1] != "shown by"]

    assert len(shown) >= 34
    for cell in shown:
        named = re.findall(r"`(\w+)`", cell)
        assert named or cell == "the same two", cell
        assert set(named) <= defined, set(named) - defined


def test_the_waits_are_those_of_the_code() -> None:
    retries = Retries()
    text = section("Faults")

    assert f"up to {retries.tries} requests" in text
    assert f"after {retries.first:g}, 1, 2, 4 s" in text
    assert f"at most {retries.most:g} s" in text
    assert f"asked again after {REST_SECONDS:g} s" in text
    assert f"{FAILURES} times in a row" in text
    assert f"leaves it out for {REST:g} s" in text
