"""What `import lift_sys` offers, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lift_sys


@pytest.mark.parametrize("name", lift_sys.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(lift_sys, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        lift_sys.no_such_thing  # noqa: B018 (the access is the test)


def test_public_names_are_listed() -> None:
    assert set(lift_sys.__all__) <= set(dir(lift_sys))


@pytest.mark.parametrize("module", ["lift_sys", "lift_sys.app.cli"])
def test_importing_stays_light(module: str) -> None:
    code = (
        f"import sys, {module}; heavy = {{'dspy', 'optuna', 'xllamacpp', 'scipy', 'litellm'}};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
