"""A large cloud in tiles: every voxel is decided once, by a tile that sees what lies around it."""

import numpy as np
import pytest

from otoc_ros.core import tiling
from otoc_ros.core.tiling import tiles
from otoc_ros.core.voxels import voxelize


@pytest.fixture
def coords():
    rng = np.random.default_rng(0)
    return voxelize(rng.random((20_000, 3)) * (90, 60, 8), 1.0).coords


def test_each_voxel_is_decided_once_and_seen_with_its_surroundings(coords, monkeypatch):
    monkeypatch.setattr(tiling, "MOST_VOXELS", 1500)
    levels = 2
    decided = np.zeros(len(coords), int)
    for tile in tiles(coords, levels):
        assert (np.diff(tile.rows) > 0).all()
        core = tile.rows[tile.core]
        assert 0 < len(core) <= 1500
        decided[core] += 1
        low, high = coords[core].min(0), coords[core].max(0)
        halo = tiling.HALO << (levels - 1)
        near = ((coords >= low - halo) & (coords <= high + halo)).all(axis=1)
        np.testing.assert_array_equal(tile.rows, np.flatnonzero(near))
    assert (decided == 1).all()


def test_a_room_is_one_tile_and_one_full_column_ends(coords, monkeypatch):
    (whole,) = tiles(coords, 7)
    assert whole.core.all() and len(whole.rows) == len(coords)
    monkeypatch.setattr(tiling, "MOST_VOXELS", 2)
    crowded = np.array([[0, 0, 0], [9, 0, 0], [9, 0, 1], [9, 0, 2]], np.int32)
    assert sum(int(tile.core.sum()) for tile in tiles(crowded, 1)) == 4
