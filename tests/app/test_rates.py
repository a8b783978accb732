"""What answers cost: measured in earlier runs or shipped, and never made up."""

from __future__ import annotations

import json
from pathlib import Path

from lift_sys.app.rates import ENOUGH, known_rates, rates_of, shipped_rates
from lift_sys.app.store import RunDirectory
from lift_sys.inference.replay import StoredCall
from lift_sys.inference.usage import CallRecord

MODEL = "qwen2.5-coder-0.5b"


def call(tokens: int, stage: str = "code", model: str = MODEL) -> CallRecord:
    return CallRecord(
        model=model, stage=stage, prompt_tokens=10, completion_tokens=tokens, seconds=0.5
    )


def store(runs: Path, *calls: CallRecord) -> Path:
    directory = RunDirectory(runs / "a-run")
    stored = directory.calls()
    for number, record in enumerate(calls):
        stored.put(StoredCall(key=str(number), text="x", record=record))
    return directory.path / "calls.jsonl"


def test_a_rate_is_the_mean_of_a_model_and_stage() -> None:
    rates = rates_of([call(1), call(4), call(9, "ir"), call(7, model="other")])

    assert set(rates) == {(MODEL, "code"), (MODEL, "ir"), ("other", "code")}
    found = rates[MODEL, "code"]
    assert (found.calls, found.tokens_out, found.tokens_in, found.seconds) == (2, 2.5, 10, 0.5)


def test_without_runs_the_shipped_rates_hold(tmp_path: Path) -> None:
    assert known_rates(tmp_path / "missing") == shipped_rates()
    assert {r.source for r in shipped_rates().values()} == {"shipped"}


def test_enough_answers_of_earlier_runs_replace_a_shipped_rate(tmp_path: Path) -> None:
    store(tmp_path, *[call(3)] * (ENOUGH - 1))
    assert known_rates(tmp_path)[MODEL, "code"].source == "shipped"
    store(tmp_path, *[call(3)] * ENOUGH)
    assert known_rates(tmp_path)[MODEL, "code"].tokens_out == 3


def test_a_few_answers_are_better_than_none(tmp_path: Path) -> None:
    store(tmp_path, call(5, model="new"))

    assert known_rates(tmp_path)["new", "code"].tokens_out == 5


def test_what_cannot_be_read_tells_nothing_and_stays_as_it_is(tmp_path: Path) -> None:
    file = store(tmp_path, call(5, model="new"))
    bad = ["[]", '{"record": 1}', "not JSON", json.dumps({"record": {"model": "x"}})]
    file.write_text(file.read_text() + "\n".join(bad) + '\n{"record": {"mod')
    before = file.read_bytes()

    assert known_rates(tmp_path)["new", "code"].calls == 1
    assert file.read_bytes() == before
