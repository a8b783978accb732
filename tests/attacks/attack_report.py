"""Runs the suite as this user and as uid 65534, and keeps the table in ``docs/sandbox.md``.

Usage: ``python tests/attacks/attack_report.py`` writes the table anew. Uid 65534 may read neither
the repository nor, often, the interpreter; it gets copies of both in a temporary directory.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PAGE = REPOSITORY / "docs" / "sandbox.md"
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"
NOBODY = 65534

_PACKAGES = ("pydantic", "pydantic_core", "annotated_types", "typing_inspection")
_MODULES = ("typing_extensions",)


@dataclass(frozen=True)
class Runs:
    """Results by column (a backend and a user), and what could not be run."""

    columns: Mapping[str, Mapping[str, str]]
    controls: Mapping[str, bool]
    missing: tuple[str, ...]


def run_everything() -> Runs:
    """Run the suite as every user that this machine and this user allow."""
    columns: dict[str, Mapping[str, str]] = {}
    controls: dict[str, bool] = {}
    missing: list[str] = []
    for uid in (0, NOBODY):
        try:
            answer = _run_as(uid)
        except NotPossibleError as error:
            missing.append(f"uid {uid}: {error}")
            continue
        for backend in ("bubblewrap", "landlock"):
            if backend not in answer["backends"]:
                missing.append(f"{backend}, uid {uid}: does not hold here")
                continue
            results = answer["results"].items()
            columns[f"{backend}, uid {uid}"] = {name: by[backend] for name, by in results}
        for name, succeeded in answer["controls"].items():
            controls[name] = controls.get(name, True) and succeeded
    return Runs(columns, controls, tuple(missing))


class NotPossibleError(Exception):
    """A user that the suite cannot run as here."""


def _run_as(uid: int) -> dict[str, Any]:
    if uid == os.getuid():
        return _run([sys.executable], HERE / "attack_suite.py", {**os.environ})
    if os.getuid() != 0:
        msg = "only root can become another user"
        raise NotPossibleError(msg)
    with _copies() as folder:
        interpreter, environment = _interpreter_for_anyone(folder)
        environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / "packages")}
        suite = folder / "tests" / "attacks" / "attack_suite.py"
        return _run([interpreter, "-B"], suite, environment, user=uid)


def _run(
    command: list[str], suite: Path, environment: dict[str, str], user: int | None = None
) -> dict[str, Any]:
    done = subprocess.run(
        [*command, str(suite)],
        capture_output=True,
        text=True,
        cwd="/",
        env=environment,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        timeout=420,
        check=False,
    )
    if done.returncode:
        msg = f"the suite ended with {done.returncode}: {done.stderr[-2000:]}"
        raise RuntimeError(msg)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextmanager
def _copies() -> Iterator[Path]:
    """Copy what the suite needs to where anyone can read it."""
    folder = Path(tempfile.mkdtemp(prefix="lift-anyone-"))
    try:
        ignore = shutil.ignore_patterns("__pycache__", "app", "inference")
        shutil.copytree(REPOSITORY / "lift_sys", folder / "lift_sys", ignore=ignore)
        shutil.copytree(HERE, folder / "tests" / "attacks", ignore=ignore)
        packages = folder / "packages"
        packages.mkdir()
        for name in (*_PACKAGES, *_MODULES):
            spec = importlib.util.find_spec(name)
            if spec is None or spec.origin is None:
                msg = f"{name} is not installed"
                raise NotPossibleError(msg)
            source = Path(spec.origin)
            if name in _MODULES:
                shutil.copy(source, packages)
            else:
                shutil.copytree(source.parent, packages / name, ignore=ignore)
        folder.chmod(0o755)
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _interpreter_for_anyone(folder: Path) -> tuple[str, dict[str, str]]:
    """Return an interpreter of this version that uid 65534 can run, copying ours if need be."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for candidate in (os.path.realpath(sys.executable), f"/usr/bin/python{version}"):
        environment = {"PYTHONPATH": str(folder / "packages")}
        if _works(candidate, environment, folder):
            return candidate, environment
    home = folder / "python"
    library = Path(sysconfig.get_path("stdlib"))
    skip = shutil.ignore_patterns("site-packages", "test", "__pycache__", "idlelib", "ensurepip")
    shutil.copytree(library, home / "lib" / library.name, ignore=skip)
    (home / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), home / "bin" / "python")
    for shared in Path(sys.base_prefix, "lib").glob("libpython*"):
        shutil.copy(shared, home / "lib")
    subprocess.run(["chmod", "-R", "a+rX", str(home)], check=True)
    environment = {"PYTHONHOME": str(home), "LD_LIBRARY_PATH": str(home / "lib")}
    if _works(str(home / "bin" / "python"), environment, folder):
        return str(home / "bin" / "python"), environment
    msg = "no interpreter that it can run"
    raise NotPossibleError(msg)


def _works(interpreter: str, environment: dict[str, str], folder: Path) -> bool:
    check = "import pydantic, sys; assert sys.version_info >= (3, 11)"
    environment = {**environment, "PYTHONPATH": str(folder / "packages")}
    try:
        done = subprocess.run(
            [interpreter, "-B", "-c", check],
            env=environment,
            user=NOBODY,
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


# --- the table --------------------------------------------------------------------------------


def read_table(text: str) -> dict[str, dict[str, str]]:
    """Return the results in a page by column and attack."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.split(BEGIN)[1].split(END, maxsplit=1)[0].splitlines()
        if line.startswith("|")
    ]
    header = rows[0][3:]
    table: dict[str, dict[str, str]] = {column: {} for column in header}
    for row in rows[2:]:
        for column, cell in zip(header, row[3:], strict=True):
            table[column][row[1].strip("`")] = cell.strip("*")
    return table


def render(runs: Runs, attacks: list[Any]) -> str:
    """Return the generated part of the page."""
    columns = list(runs.columns)
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}"
    versions = f"Landlock ABI {_landlock()}, {_bubblewrap()}, Python {platform.python_version()}"
    lines = [f"Measured on {machine}, {versions}. Not run: {'; '.join(runs.missing) or 'nothing'}."]
    for column in columns:
        results = list(runs.columns[column].values())
        counts = ", ".join(f"{results.count(r)} {r}" for r in ("blocked", "contained", "escaped"))
        lines.append(f"- {column}: {len(results)} attacks: {counts}")
    lines += ["", "| outcome | attack | what it does | " + " | ".join(columns) + " |"]
    lines.append("|" + "---|" * (3 + len(columns)))
    for attack in attacks:
        cells = [runs.columns[column][attack.name] for column in columns]
        shown = [f"**{cell}**" if cell == "escaped" else cell for cell in cells]
        start = f"| {attack.outcome} | `{attack.name}` | {attack.title} | "
        lines.append(start + " | ".join(shown) + " |")
    return "\n".join(lines)


def _landlock() -> int:
    sys.path.insert(0, str(REPOSITORY))
    from lift_sys.sandbox.confine import landlock_abi

    return landlock_abi()


def _bubblewrap() -> str:
    try:
        done = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no bubblewrap"
    return done.stdout.strip()


def main() -> int:
    """Write the table; fail if a control did not succeed."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.attacks.attack_controls import load_attacks

    runs = run_everything()
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    table = render(runs, load_attacks())
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    failed = sorted(name for name, succeeded in runs.controls.items() if not succeeded)
    sys.stderr.write(f"missing: {runs.missing}; controls that failed: {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
