"""The embedded model itself: what the engine promises, measured on real weights."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xllamacpp
from dspy.lm15 import Config, Message, Request

from lift_sys.errors import ProviderError
from lift_sys.inference.chat import Answer
from lift_sys.inference.failures import PromptTooLongError
from lift_sys.inference.llama_cpp import AsyncLlamaEngine, LlamaEngine, load_engine
from lift_sys.inference.lm import SLOTS
from lift_sys.inference.native import BLOCK, NativeServer
from lift_sys.inference.prefix import PrefixLedger
from lift_sys.inference.usage import recording

pytestmark = pytest.mark.model

ID = "qwen2.5-coder-0.5b"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "returns": {"type": "string"}},
    "required": ["name", "returns"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def engine(model_path: Path) -> LlamaEngine:
    return load_engine(model_path, slots=SLOTS, model=ID)


@pytest.fixture(scope="module")
def server(engine: LlamaEngine) -> NativeServer:
    owner = getattr(engine._send, "__self__", None)
    assert isinstance(owner, NativeServer)
    return owner


@pytest.fixture
def own_ledger(server: NativeServer) -> Iterator[None]:
    kept = server._ledger
    yield
    server._ledger = kept
    forget(server)


def ask(text: str, **config: Any) -> Request:
    return Request(model=ID, messages=(Message.user(text),), config=Config(**config))


def forget(server: NativeServer) -> None:
    for slot in range(SLOTS):
        server._ledger.forget(slot)


SYSTEM = (
    "You write Python. Keep every boundary that the request states, never invent one,"
    " and answer with one function only, in a code block, without any explanation."
)
SPECS = (
    "Write a function that returns the larger of two numbers",
    "Write a function that returns the larger of two numbers, or the first when they are equal",
    "Write a function that returns the number of vowels in a string, ignoring case",
    "Write a function that counts the words of a text",
    "Turn a score into a grade: 90 and above is 'A', 80 to 89 is 'B', anything below is 'C'",
    "Given a list of integers, return the even ones in their original order",
)


def bodies() -> list[dict[str, Any]]:
    rows = []
    for i, spec in enumerate(SPECS):
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": spec}]
        row = {"messages": turns, "max_tokens": 12, "seed": 40 + i, "logprobs": True}
        row["temperature"] = 0.7 if i % 2 else 0.0
        if i == 2:
            row["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
            }
        rows.append(row)
    return rows


def run(server: NativeServer, body: dict[str, Any]) -> Answer:
    return server.chat(body, lambda: False)


def cold(server: NativeServer, body: dict[str, Any]) -> Answer:
    forget(server)
    return run(server, body)


def content(answer: Answer) -> tuple[str, tuple[float, ...]]:
    return answer.text, answer.logprobs


@pytest.mark.usefixtures("own_ledger")
def test_an_answer_depends_on_its_request_and_not_on_the_prefix_cache(
    server: NativeServer,
) -> None:
    asked = bodies()
    first = [cold(server, body) for body in asked]
    assert all(a.cached_tokens == 0 and len(a.logprobs) > 3 for a in first)
    # Warm with the same prompt, with its neighbours' prompts, and in another order: every text
    # and every log probability is the same to the last bit.
    order = [0, 0, 1, 2, 3, 4, 5, 5, 3, 1, 4, 2, 0]
    warm = [run(server, asked[i]) for i in order]
    assert sum(a.cached_tokens for a in warm) >= BLOCK * len(warm)
    assert [content(a) for a in warm] == [content(first[i]) for i in order]


@pytest.mark.usefixtures("own_ledger")
def test_the_test_above_would_notice_reuse_of_arbitrary_prefixes(server: NativeServer) -> None:
    asked = bodies()
    first = [cold(server, body) for body in asked]
    server._ledger = PrefixLedger(SLOTS, 1)
    warm = [run(server, body) for body in asked]
    assert [content(a) for a in warm] != [content(a) for a in first]


def test_a_wrong_note_about_the_cache_costs_time_and_not_the_answer(server: NativeServer) -> None:
    body = bodies()[0]
    right = cold(server, body)
    forget(server)
    tokens = server._tokens(body)
    for slot in range(SLOTS):
        run(server, {"messages": [{"role": "user", "content": f"{slot} other"}], "max_tokens": 1})
    for slot in range(SLOTS):
        server._ledger.ran(slot, tokens)
    again = run(server, body)
    assert again.cached_tokens == 0
    assert content(again) == content(right)


@pytest.mark.parametrize("flash", [False, True])
def test_an_answer_does_not_depend_on_the_number_of_threads(
    model_path: Path, flash: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flash:  # the control: with it, sums are divided among the threads
        ours = NativeServer._params

        def with_flash(*args: Any) -> Any:
            params = ours(*args)
            params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
            return params

        monkeypatch.setattr(NativeServer, "_params", with_flash)
    long = " ".join(SPECS * 4)
    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": long}]
    body = {"messages": turns, "max_tokens": 6, "temperature": 0.0, "seed": 0, "logprobs": True}
    answers = []
    for threads in (1, 2):
        server = NativeServer(model_path, threads=threads, context=1024, slots=1)
        answers.append(content(run(server, body)))
        server.close()

    assert len(answers[0][1]) > 3
    assert (answers[0] == answers[1]) is not flash


def test_the_same_seed_gives_the_same_sample_and_another_seed_another(engine: LlamaEngine) -> None:
    def sample(seed: int) -> str:
        text = "Write a short poem about a river."
        response = engine.complete(ask(text, temperature=1.0, seed=seed, max_tokens=16))
        return str(response.text)

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(4)}) > 1


def test_a_schema_constrains_the_answer(engine: LlamaEngine) -> None:
    wanted = {"type": "json_schema", "name": "a", "schema": SCHEMA}
    request = ask("Describe max(a, b).", max_tokens=120, response_format=wanted)
    response = engine.complete(request)
    assert response.finish_reason == "stop"
    assert set(json.loads(response.text or "")) == {"name", "returns"}


def test_a_schema_that_cannot_be_read_is_a_clear_error(engine: LlamaEngine) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "nonsense"}}
    with pytest.raises(ProviderError, match=r"llama\.cpp refused the request: .*nonsense"):
        engine.complete(ask("x", response_format=wanted))


def test_a_cut_off_answer_and_its_tokens_are_reported(engine: LlamaEngine) -> None:
    with recording() as rows:
        response = engine.complete(ask("Count from one to a hundred.", max_tokens=5))
    assert response.finish_reason == rows[0].finish_reason == "length"
    assert response.usage.output_tokens == rows[0].completion_tokens == 5
    assert rows[0].model == ID
    assert 0 < (rows[0].generation_seconds or 0) < rows[0].seconds


def test_the_async_engine_gives_the_same_answer(engine: LlamaEngine) -> None:
    request = ask("Name a colour.", max_tokens=8)
    awaited = asyncio.run(AsyncLlamaEngine(engine).complete(request))
    assert awaited.text == engine.complete(request).text


def test_a_prompt_that_is_too_long_is_refused_at_once(engine: LlamaEngine) -> None:
    began = time.monotonic()
    with pytest.raises(PromptTooLongError, match=r"\d+ tokens and the model's context takes 8192"):
        engine.complete(ask("word " * 20_000))
    assert time.monotonic() - began < 2


def test_a_model_is_loaded_once_per_process(engine: LlamaEngine, model_path: Path) -> None:
    assert load_engine(model_path, slots=SLOTS) is engine
    with pytest.raises(ProviderError, match="is loaded with"):
        load_engine(model_path, slots=SLOTS + 1)


def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF but not really")
    with pytest.raises(ProviderError, match=r"llama\.cpp cannot load .*broken\.gguf"):
        load_engine(file)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc")
def test_no_tcp_port_is_opened(server: NativeServer) -> None:
    assert server._socket.is_socket()
    mine = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            mine.add(str(descriptor.readlink()))
        except OSError:
            continue
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                listening.append(fields[1])
    assert listening == []


class Line(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_a_stranger_on_the_socket_gets_nothing(server: NativeServer, key: str | None) -> None:
    folder = server._socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    headers = {"Origin": "https://example.org", "Accept-Encoding": "gzip"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    asked = [("POST", p) for p in ("/v1/chat/completions", "/completion", "/tokenize", "/slots/0")]
    asked += [("GET", p) for p in ("/", "/props", "/slots", "/metrics", "/v1/models", "/models")]
    for method, path in asked:
        line = Line(server._socket)
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], "content": "hi"})
        line.request(method, path, body if method == "POST" else None, headers)
        answer = line.getresponse()
        text = answer.read()
        line.close()
        assert answer.status in {401, 404}, (method, path, answer.status, text)
        assert answer.getheader("Access-Control-Allow-Origin") in {None, ""}


def test_the_signal_handlers_of_the_process_are_its_own(engine: LlamaEngine) -> None:
    engine.complete(ask("hi", max_tokens=1))
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


CHILD = """
import sys, time
from pathlib import Path
from dspy.lm15 import Config, Message, Request
from lift_sys.inference.llama_cpp import load_engine
engine = load_engine(Path(sys.argv[1]))
numbers = {"type": "array", "items": {"type": "integer"}, "minItems": int(sys.argv[3]) // 4}
config = Config(
    max_tokens=int(sys.argv[3]),
    response_format={"type": "json_schema", "schema": numbers},
)
print("loaded", flush=True)
engine.complete(Request(model="m", messages=(Message.user(sys.argv[2]),), config=config))
"""


@pytest.mark.parametrize(
    ("text", "wait"),
    [("Count to one thousand.", 4.0), ("All work and no play. " * 900, 1.5)],
    ids=["while generating", "while reading the prompt"],
)
def test_ctrl_c_ends_the_process_within_two_seconds(
    model_path: Path, text: str, wait: float
) -> None:
    command = [sys.executable, "-c", CHILD, str(model_path), text, "4000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "loaded\n"
        time.sleep(wait)
        assert child.poll() is None, child.communicate()
        child.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = child.communicate(timeout=20)
        assert time.monotonic() - began < 2
    assert child.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_the_native_log_is_silent_and_nothing_stays_behind(
    model_path: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CHILD, str(model_path), "Say hi.", "3"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.stdout == "loaded\n"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


# On Linux ru_maxrss also counts the process that started this one.
PEAK = """
import pathlib, resource
status = pathlib.Path("/proc/self/status")
if status.exists():
    lines = status.read_text().splitlines()
    print(1024 * next(int(l.split()[1]) for l in lines if l.startswith("VmHWM:")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_stays_below_one_and_a_half_gigabytes(model_path: Path) -> None:
    code = CHILD.replace("sys.argv[1])", f"sys.argv[1]), slots={SLOTS}", 1)
    command = [sys.executable, "-c", code + PEAK, str(model_path), "word " * 3000, "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 1.5e9
