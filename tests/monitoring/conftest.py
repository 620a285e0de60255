"""The lines that the queries search, printed once by real runs against the emulator."""

from __future__ import annotations

import pytest

from tests.monitoring.history import History, lived_through, quiet


@pytest.fixture(scope="session")
def history() -> History:
    """Three days with every trouble in them."""
    return lived_through()


@pytest.fixture(scope="session")
def quiet_hour() -> History:
    """An hour in which all is well."""
    return quiet()
