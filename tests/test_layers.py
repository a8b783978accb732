"""Imports go one way: a layer may import earlier ones only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = ("errors", "record", "literals", "files")
LAYERS: tuple[tuple[str, ...], ...] = (
    tuple(f"lift_sys.{name}" for name in BASE),
    (
        "lift_sys.ir",
        "lift_sys.knowledge",
        "lift_sys.tasks",
        "lift_sys.verdict",
        "lift_sys.config",
        "lift_sys.wish",
    ),
    ("lift_sys.inference", "lift_sys.sandbox"),
    ("programs", "metrics"),
    ("optimizers",),
    ("lift_sys.app",),
)
FORBIDDEN = {
    ("programs", "metrics"),
    ("metrics", "programs"),
    ("optimizers", "programs"),
    ("optimizers", "metrics"),
    ("lift_sys.inference", "lift_sys.sandbox"),
    ("lift_sys.sandbox", "lift_sys.inference"),
}
OURS = ("lift_sys", "programs", "metrics", "optimizers")


PASSED_ON = {
    "lift_sys.inference.native": "tells the native library how its threads wait",
    "lift_sys.inference.provider": "never says a key that litellm may have read",
    "lift_sys.inference.sources": "hands the whole environment to pip and reads nothing of it",
    "lift_sys.sandbox.zygote": "empties it, in a process of its own",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


def package_of(module: str) -> str | None:
    """Return the longest named package that a module belongs to."""
    names = [n for layer in LAYERS for n in layer]
    matches = [n for n in names if module == n or module.startswith(n + ".")]
    return max(matches, key=len, default=None)


def level(package: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if package in layer)


def imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.split(".")[0] in OURS]


def sources() -> list[Path]:
    return sorted(p for package in OURS for p in (ROOT / package).rglob("*.py"))


def violations(path: Path) -> list[str]:
    package = package_of(module_name(path))
    if package is None:
        return []
    wrong = []
    for name in imports(path):
        target = package_of(name)
        if target is None or target == package:
            continue
        if (package, target) in FORBIDDEN or level(target) > level(package):
            wrong.append(f"{module_name(path)} imports {name}")
    return wrong


def test_every_module_is_in_a_layer() -> None:
    outside = [module_name(p) for p in sources() if package_of(module_name(p)) is None]

    assert outside == ["lift_sys"]  # the public names, imported lazily


def test_imports_go_one_way() -> None:
    assert [line for path in sources() for line in violations(path)] == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("programs/x.py", "import metrics.stats"),
        ("lift_sys/ir/x.py", "from lift_sys.sandbox import judge"),
        ("lift_sys/knowledge/x.py", "from lift_sys.sandbox import judge"),
        ("lift_sys/tasks/x.py", "from lift_sys.sandbox import judge"),
        ("lift_sys/tasks/x.py", "from programs.presets import PRESETS"),
        ("optimizers/x.py", "from metrics.stats import Rate"),
        ("metrics/x.py", "from lift_sys.app.store import RunDirectory"),
    ],
)
def test_a_wrong_import_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, line: str
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / module
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")

    assert len(violations(path)) == 1


def test_only_the_app_reads_the_environment_or_prints() -> None:
    found = []
    for path in sources():
        package = package_of(module_name(path)) or ""
        if package == "lift_sys.app" or module_name(path) in PASSED_ON:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            prints = isinstance(node, ast.Name) and node.id == "print"
            reads = isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
            if prints or reads:
                found.append(f"{module_name(path)}: {ast.unparse(node)}")

    assert found == []


def test_the_data_folder_is_not_a_package() -> None:
    assert not (ROOT / "datasets" / "__init__.py").exists()  # it would shadow another library
