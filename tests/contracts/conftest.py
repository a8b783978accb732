"""What the tests of the contract share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.backends import Backend, Rig


@pytest.fixture
def rig(backend: Backend, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The backend that the test names, ready to answer."""
    with backend.open(request) as opened:
        yield opened
        if hasattr(opened.engine, "close"):
            opened.engine.close()
