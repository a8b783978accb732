"""What generated code defines."""

from __future__ import annotations

from programs.cleaning import signature_of


def test_signatures_come_from_code() -> None:
    found = signature_of("import re\ndef f(a: 'x', b: list[int], /, c=1) -> str: ...", "f")
    assert found is not None
    assert found.render() == "f(a, b: list[int], c) -> str"
    assert [signature_of(c, "f") for c in (None, "def f(", "def g(): ...")] == [None] * 3
