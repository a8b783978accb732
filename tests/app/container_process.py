"""A stand-in for a container: executes jobs, one a line, with a scripted model. Has its own code.

Started as ``python container_process.py LOG``; the prompts that its model receives go to LOG.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Request

from lift_sys.app import models
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine

CODE = "```python\ndef f(x: int) -> int:\n    return x + 1{}\n```"
IR = {
    "summary": "Adds one",
    "parameters": ["x: int"],
    "returns": "int",
    "effects": ["add one"],
    "assertions": ["f(1) == 2"],
}


def answer(request: Request) -> str:
    """Return code whose samples are sometimes wrong."""
    if request.config.response_format:
        return json.dumps(IR)
    wrong = (request.config.seed or 0) % 3 == 1 and request.config.temperature
    return CODE.format(" + 1" if wrong else "")


class Model:
    """Builds the scripted model in the place of the real ones."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(answer)

    def build(self, model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        engine = ReplayEngine(self.engine, "weights", calls)
        return dspy.LM(f"local/{model_id}", engine=engine, cache=False, num_retries=0)


def main() -> None:
    model = Model()
    vars(models)["build_lm"] = model.build
    from lift_sys.app.container import execute

    with Path(sys.argv[1]).open("a", encoding="utf-8") as log:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(execute(json.loads(line))) + "\n")
            sys.stdout.flush()
            log.writelines(json.dumps(body) + "\n" for body in model.engine.bodies)
            log.flush()
            model.engine.bodies.clear()


if __name__ == "__main__":
    main()
