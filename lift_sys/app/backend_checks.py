"""Whether each configured backend answers: one tiny constrained call to each, all at once.

Owns what counts as configured, what is asked, and how long an answer may take. The words for what
is wrong are the backend's own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lift_sys.errors import LiftError
from lift_sys.inference import catalogue, fetch
from lift_sys.inference.model_info import ModelInfo

SECONDS = 10.0
"""Longest time of one check: loading, connecting, retries and the answer."""

CALL_SECONDS = 9.0
"""After which a server's answer is given up; what the backend says of it is still heard."""

MAX_TOKENS = 64
ANSWER = {"answer": "ready"}
_PROMPT = 'Answer with this JSON object and nothing else: {"answer": "ready"}'
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["ready"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
_HERE = ("llama_cpp", "transformers")
_SLOW = "no answer yet; this machine is busy, or slow for it"


def check_backends(
    own: Iterable[ModelInfo], keys: Mapping[str, str], models_dir: Path
) -> Iterator[tuple[str, bool]]:
    """Ask each configured model and yield a line on it, and whether it is good.

    Args:
        own: The models that the user has entered.
        keys: Those that are set, by the name of their environment variable.
        models_dir: Where model files are kept.
    """
    mine = {info.id for info in own}
    known = catalogue.all_models()
    asked = [info for info in known if is_configured(info, mine, keys, models_dir)]
    chains = [info for info in known if info.members]
    ids = [info.id for info in asked]
    ids += [name for chain in chains for name in chain.members if name not in ids]
    broken = set()
    with _short_calls():
        for model_id, wrong, seconds in _answers(list(dict.fromkeys(ids)), keys, models_dir):
            if wrong:
                broken.add(model_id)
            told = f"answers ({seconds:.1f} s)" if seconds < SECONDS else _SLOW
            yield f"backend {model_id}: {wrong or told}", not wrong
    for chain in chains:
        lost = [name for name in chain.members if name in broken]
        wrong = f"cannot ask {', '.join(lost)}" if lost else _refusal(chain.id)
        yield f"backend {chain.id}: {wrong or 'all members answer'}", not wrong


def is_configured(
    info: ModelInfo, mine: Iterable[str], keys: Mapping[str, str], models_dir: Path
) -> bool:
    """Return whether a model can be meant to answer: its file, its servers or its key are here."""
    if info.embedded:
        return fetch.locate(info.id, models_dir) is not None
    if info.backend == "anthropic":
        return info.key in keys
    return info.id in mine and not info.members and (info.backend != "vllm" or bool(info.urls))


def _refusal(model_id: str) -> str:
    """Return why the catalogue refuses a model; empty if it does not."""
    try:
        catalogue.get(model_id)
    except LiftError as error:
        return str(error)
    return ""


@contextmanager
def _short_calls() -> Iterator[None]:
    """Have servers given up in the time of a check, so that they say themselves what was wrong."""
    whole = catalogue.all_models()
    try:
        catalogue.use(_shortened(info) for info in whole)
        yield
    finally:
        catalogue.use(whole)


def _shortened(info: ModelInfo) -> ModelInfo:
    return info.model_copy(update={"timeout": min(info.timeout, CALL_SECONDS)})


def _answers(
    ids: list[str], keys: Mapping[str, str], models_dir: Path
) -> Iterator[tuple[str, str, float]]:
    """Yield each id, what is wrong (empty if nothing) and the seconds it took.

    Servers are asked at the same time; models of this machine take turns, as they share its CPUs.
    """
    import dspy  # noqa: F401, PLC0415 - heavy, and not part of any check

    if any(_backend_of(model_id) == "provider" for model_id in ids):
        import litellm  # noqa: F401, PLC0415 - likewise

    answers: dict[str, Future[tuple[str, float]]] = {model_id: Future() for model_id in ids}
    here = [model_id for model_id in ids if _backend_of(model_id) in _HERE]

    def work(names: list[str]) -> None:
        for name in names:
            answers[name].set_result(_ask(name, keys, models_dir))

    for names in (here, *([name] for name in ids if name not in here)):
        threading.Thread(target=work, args=(names,), daemon=True).start()
    began = time.monotonic()
    for name in ids:
        waits = SECONDS if name in here else SECONDS - (time.monotonic() - began)
        try:
            wrong, seconds = answers[name].result(timeout=max(0.0, waits))
        except TimeoutError:
            late = f"gave no answer within {SECONDS:g} s"
            # A model of this machine has no server that could be wrong: it is slow, not broken.
            wrong, seconds = "" if name in here else late, SECONDS
        yield name, wrong, seconds


def _backend_of(model_id: str) -> str:
    """Return what serves a model; empty where the catalogue refuses it."""
    return "" if _refusal(model_id) else catalogue.get(model_id).backend


def _ask(model_id: str, keys: Mapping[str, str], models_dir: Path) -> tuple[str, float]:
    """Return what is wrong with a model, in one sentence, and the seconds that it took."""
    from lift_sys.inference.lm import build_lm, close  # noqa: PLC0415 - heavy

    began = time.monotonic()
    try:
        if catalogue.get(model_id).embedded and fetch.locate(model_id, models_dir) is None:
            return f"is not in {models_dir}; fetch it: lift models pull {model_id}", 0.0
        lm = build_lm(model_id, models_dir, keys=keys)
        try:
            wrong = _wrong_answer(lm.engine.complete(_request(model_id)))
        finally:
            close(lm)
    except LiftError as error:
        wrong = str(error)
    except Exception as error:  # noqa: BLE001  # a check tells what is wrong, whatever it is
        wrong = f"{type(error).__name__}: {error}"
    return " ".join(wrong.split()), time.monotonic() - began


def _request(model_id: str) -> Any:
    from dspy.lm15 import Config, Message, Request  # noqa: PLC0415 - heavy

    schema = {"type": "json_schema", "name": "answer", "schema": _SCHEMA, "strict": True}
    config = Config(temperature=0.0, max_tokens=MAX_TOKENS, seed=0, response_format=schema)
    return Request(model=model_id, messages=(Message.user(_PROMPT),), config=config)


def _wrong_answer(response: Any) -> str:
    """Return what is wrong with an answer; empty if it is the only one that the schema allows."""
    text = "".join(getattr(part, "text", "") for part in response.message.parts)
    if not text.strip():
        return "answers with an empty text"
    try:
        if json.loads(text) == ANSWER:
            return ""
    except ValueError:
        pass
    if response.finish_reason == "length":
        return f"was cut off after {MAX_TOKENS} tokens, where a schema asks for 5"
    return f"does not keep to the schema that it is given: it answers {text[:60]!r}"
