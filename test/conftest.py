"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings named by OTOC_DATA; tests that need it skip without it."""
    folder = os.environ.get("OTOC_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real recordings: set OTOC_DATA to their folder")
    return Path(folder)
