"""The vLLM backend, and any other server with OpenAI's chat API and JSON schemas.

Owns what such a server receives and how its answers are read. A schema goes along as a strict
``response_format``; vLLM has dropped ``guided_json`` and ignores it without a word. Whether a
server holds a schema is not assumed: each is asked once for an answer that no free model gives.
One that holds none is refused, unless the model's entry asks for JSON in words: then answers are
read with tolerance and validated (``tolerant``). A schema that XGrammar would hold only in part is
not sent at all.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections import defaultdict
from typing import Any

import httpx

from lift_sys.errors import ConfigError
from lift_sys.inference.chat import Answer
from lift_sys.inference.endpoint import Endpoint, Service
from lift_sys.inference.engine import Connected, Timed
from lift_sys.inference.failures import EngineError, StatusError, UnavailableError
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from lift_sys.inference.servers import HEALTH, Servers
from lift_sys.inference.tolerant import Validated, in_words
from lift_sys.ir.schema_lint import lint_schema

CHAT = "/chat/completions"

_PROBE_WORD = "vk7-zebra"
_PROBE = {
    "messages": [{"role": "user", "content": "Say hello to me in one short sentence."}],
    "temperature": 0.0,
    "seed": 0,
    "max_tokens": 48,
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "probe",
            "schema": {
                "type": "object",
                "properties": {"answer": {"type": "string", "enum": [_PROBE_WORD]}},
                "required": ["answer"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    },
}


def connect(
    info: ModelInfo,
    key: str | None,
    *,
    retries: Retries | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Connected:
    """Return what answers chat bodies with a model's servers. Nothing is asked yet.

    Args:
        info: Names at least one URL.
        key: Goes along as a bearer token.
        retries: Of each server; by default fewer where there is another one to ask.
        transport: What carries the requests; a test's way to see them.

    Raises:
        ConfigError: A URL, the key or the way of asking for JSON cannot be used.
    """
    if info.structured == "tool":
        msg = f'model {info.id}: structured = "tool" is not for vLLM; write "schema" or "words"'
        raise ConfigError(msg)
    auth = {"authorization": f"Bearer {key}"} if key else {}
    service = Service("vLLM", key_name=info.key, auth=auth, seconds=info.timeout)
    servers = Servers.at(info.urls, service, retries, transport)
    backend = VllmBackend(info, servers)
    in_schema = info.structured != "words"
    send = backend.send if in_schema else Validated(lambda body: backend.send(in_words(body)))
    return Connected(Timed(send, info.timeout), servers.close)


class VllmBackend:
    """A model on servers with OpenAI's chat API.

    Args:
        info: The model; ``name`` is that of a served model or of a LoRA adapter.
        servers: Who serves it.
    """

    def __init__(self, info: ModelInfo, servers: Servers) -> None:
        self._info = info
        self._servers = servers
        self._holding: set[Endpoint] = set()
        self._probing: defaultdict[Endpoint, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, body: dict[str, Any]) -> Answer:
        """Answer one chat body.

        Raises:
            PromptTooLongError: The prompt does not fit into the model's context.
            UnavailableError: No server could answer.
            StatusError: The schema would not be enforced; or a server refuses the request, serves
                another model, or does not hold the schema that it was given.
            EngineError: What answers is no chat completion.
        """
        form = body.get("response_format", {})
        if "json_schema" in form and (
            why := _unenforced(json.dumps(form["json_schema"]["schema"]))
        ):
            msg = f"model {self._info.id}: the schema of the answer cannot be enforced: {why}"
            raise StatusError(msg)
        return await self._servers.ask(lambda endpoint: self._chat(endpoint, body))

    async def _chat(self, endpoint: Endpoint, body: dict[str, Any]) -> Answer:
        if "response_format" in body and endpoint not in self._holding:
            async with self._probing[endpoint]:
                if endpoint not in self._holding:
                    await self._probe(endpoint)
                    self._holding.add(endpoint)
        return await self._post(endpoint, body)

    async def _post(self, endpoint: Endpoint, body: dict[str, Any]) -> Answer:
        body = {**body, "model": self._info.name}
        try:
            return read_answer(await endpoint.post(CHAT, body), endpoint.where)
        except StatusError as error:
            if error.status != 404:
                raise
            raise await self._other_model(endpoint, error) from None

    async def _other_model(self, endpoint: Endpoint, error: StatusError) -> StatusError:
        """Return what to raise where a server knows no such model: the sentence names those."""
        try:
            rows = (await endpoint.get(HEALTH))["data"]
            served = ", ".join(sorted(str(row["id"]) for row in rows)) or "nothing"
        except StatusError:
            msg = f"{endpoint.where} has no OpenAI API; its URL should end in /v1"
            return StatusError(msg, error.status)
        except (EngineError, KeyError, TypeError):
            return error
        if self._info.name in served.split(", "):
            return error
        msg = (
            f"{endpoint.where} does not serve {self._info.name!r} but {served};"
            f" correct the name of model {self._info.id}, or its urls"
        )
        return StatusError(msg, error.status)

    async def _probe(self, endpoint: Endpoint) -> None:
        """Find out whether a server holds a schema.

        Raises:
            StatusError: It does not, or refuses the question whether it does.
        """
        status = 200
        try:
            answer = await self._post(endpoint, _PROBE)
        except StatusError as error:
            if error.status not in {400, 422}:
                raise
            # Refused without a schema, too, it is something else that the server does not take.
            await self._post(endpoint, {k: v for k, v in _PROBE.items() if k != "response_format"})
            status, why = error.status, f"it refuses a schema: {error.said}"
        else:
            if _is_held(answer):
                return
            does = "freely" if answer.text.strip() else "with an empty text"
            why = f"it answers {does} where a schema is given"
        msg = (
            f"{endpoint.where} has no structured outputs ({why}); start it with them,"
            f' or write structured = "words" into the entry of model {self._info.id}'
        )
        raise StatusError(msg, status)


@functools.lru_cache(maxsize=256)
def _unenforced(schema: str) -> str:
    """Return what of a schema XGrammar would not enforce; empty if it enforces all."""
    return "; ".join(map(str, lint_schema(json.loads(schema))[:1]))


def read_answer(data: dict[str, Any], where: str) -> Answer:
    """Return what a chat completion says; an empty answer is one, too.

    Raises:
        UnavailableError: The server gave up in the middle.
        EngineError: This is no chat completion.
    """
    try:
        choice, usage = data["choices"][0], data["usage"]
        details = usage.get("prompt_tokens_details") or {}
        answer = Answer(
            text=choice["message"].get("content") or "",
            finish_reason=choice.get("finish_reason") or "stop",
            prompt_tokens=int(usage["prompt_tokens"]),
            cached_tokens=int(details.get("cached_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError):
        msg = f"{where} answers with JSON that is no chat completion with its usage; check the URL"
        raise EngineError(msg) from None
    if answer.finish_reason in {"abort", "error"}:
        msg = f"{where} gave up in the middle of an answer; see the server's log"
        raise UnavailableError(msg)
    return answer


def _is_held(answer: Answer) -> bool:
    """Return whether only a schema explains this answer; white space may have used up its room."""
    wanted = f'{{"answer":"{_PROBE_WORD}"}}'
    got = "".join(answer.text.split())
    return got == wanted or (
        answer.finish_reason == "length" and bool(got) and wanted.startswith(got)
    )
