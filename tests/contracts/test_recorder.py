import asyncio
import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.recorder import Exchange, Recorder, Replay, read, write

BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda body: not isinstance(body, str))


def _answering(status: int, body: object, headers: dict[str, str]) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, json=body, headers=headers))


async def _post(transport: httpx.AsyncBaseTransport, body: object) -> httpx.Response:
    key = {"Authorization": "Bearer secret-key"}
    url = "http://10.0.0.1:8000/v1/chat"
    answer = await transport.handle_async_request(
        httpx.Request("POST", url, json=body, headers=key)
    )
    await answer.aread()
    return answer


@given(body=BODIES, answer=BODIES, status=st.sampled_from((200, 400, 429, 503)))
def test_what_was_recorded_is_answered_again(body: object, answer: object, status: int) -> None:
    recorder = Recorder(_answering(status, {"text": answer}, {"retry-after": "3"}))
    first = asyncio.run(_post(recorder, body))
    again = asyncio.run(_post(Replay(recorder.exchanges.values()), body))
    assert again.status_code == first.status_code == status
    assert again.json() == first.json() == {"text": answer}
    assert again.headers["retry-after"] == "3"
    assert again.headers["content-type"] == first.headers["content-type"]


def test_no_key_host_or_time_is_kept(tmp_path: Path) -> None:
    headers = {"date": "Thu, 26 Nov 2026 08:00:00 GMT", "set-cookie": "a=b", "server": "uvicorn"}
    answer = {"id": "chat-1", "created": 17, "data": [{"id": "m", "root": "/home/me/weights"}]}
    recorder = Recorder(_answering(200, answer, headers))
    asyncio.run(_post(recorder, {"model": "m"}))
    write(tmp_path / "kept.jsonl", recorder.exchanges.values())
    line = (tmp_path / "kept.jsonl").read_text(encoding="utf-8")
    assert json.loads(line)["response"] == {"data": [{"id": "m"}]}
    for text in ("secret-key", "10.0.0.1", "8000", "uvicorn", "a=b", "2026"):
        assert text not in line


def test_the_file_is_sorted_and_equal_requests_are_kept_once(tmp_path: Path) -> None:
    recorder = Recorder(_answering(200, {"n": 1}, {}))
    for body in ({"b": 1}, {"a": 1}, {"b": 1}):
        asyncio.run(_post(recorder, body))
    write(tmp_path / "kept.jsonl", recorder.exchanges.values())
    rows = read(tmp_path / "kept.jsonl")
    assert [row.request for row in rows] == [{"a": 1}, {"b": 1}]
    assert all(isinstance(row, Exchange) for row in rows)


def test_a_request_that_was_not_recorded_says_what_to_do() -> None:
    with pytest.raises(LookupError, match=r"record anew with \./scripts/test-vllm"):
        asyncio.run(_post(Replay([]), {"model": "m"}))
