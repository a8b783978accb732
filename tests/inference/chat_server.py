"""A server of chat completions whose answers a test chooses.

The bodies are written from the documented format of OpenAI's API; no provider can be reached here.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.retries import Retries
from lift_sys.ir.schema import WireIR, wire_schema

KEY = "sk-very-secret"
QUICK = Retries(tries=3, first=0.01, most=0.05)
IR = {
    "summary": "Doubles x",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["return 2 * x"],
    "assertions": ["double(3) == 6"],
}
BODY: dict[str, Any] = {
    "model": "local/openai/some-model",
    "messages": [
        {"role": "system", "content": "Write an IR."},
        {"role": "user", "content": "Spec: Double x."},
    ],
    "temperature": 0.5,
    "seed": 7,
    "max_tokens": 512,
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "WireIR", "schema": wire_schema(WireIR), "strict": True},
}
Reply = tuple[int, dict[str, str], bytes]


def completion(text: str | None = "hello", finish_reason: str = "stop", **more: Any) -> Reply:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    message = {"role": "assistant", "content": text}
    reply = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "some-model",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage,
    }
    return 200, {"content-type": "application/json"}, json.dumps(reply | more).encode()


def failure(status: int, said: str, code: str | None = None, **headers: str) -> Reply:
    error = {"error": {"message": said, "type": "x", "param": None, "code": code}}
    return status, {"content-type": "application/json", **headers}, json.dumps(error).encode()


class Server:
    """Answers in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Reply] = [completion()]
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.hold = threading.Event()
        self.hold.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def info(self, **more: Any) -> ModelInfo:
        made = {"id": "mine", "backend": "provider", "name": "openai/some-model"}
        return ModelInfo.model_validate({**made, "urls": (self.url,), **more})

    def answer(self, body: dict[str, Any]) -> Reply:
        """Return the answer to the request that came last; a subclass may read it."""
        return self.answers[min(len(self.bodies), len(self.answers)) - 1]

    def close(self) -> None:
        self.hold.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = json.loads(self.rfile.read(length))
                server.bodies.append(body)
                server.headers.append({k.lower(): v for k, v in self.headers.items()})
                server.hold.wait(10)
                status, headers, content = server.answer(body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
