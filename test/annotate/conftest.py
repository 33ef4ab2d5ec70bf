"""Fixtures of the labelling app's tests."""

from pathlib import Path

import pytest
from box_site import make_box_site

from otoc_ros.site.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A fresh site of scenes `a` and `b`, without clicks."""
    return make_box_site(tmp_path / "site")
