"""A small site and a small cloud for the tests of this folder."""

from pathlib import Path

import numpy as np
import pytest

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.site import Site


@pytest.fixture
def cloud() -> Cloud:
    """500 points within a box of 4 m, with colours and normals."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(500, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return Cloud(rng.uniform(-2, 2, (500, 3)), rng.integers(0, 256, (500, 3)), normal)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.create(tmp_path / "site", "kitchen", parse_classes("wall:stuff,chair,cup"), 0.05)
