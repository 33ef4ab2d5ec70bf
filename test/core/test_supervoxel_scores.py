"""The scores of benchmarks/supervoxels.py, on a cloud small enough to count by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def rivals(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from supervoxel_rivals import clouds, felzenszwalb, scores

    yield clouds, felzenszwalb, scores
    for name in [name for name in sys.modules if name.startswith("supervoxel_rivals")]:
        del sys.modules[name]


def row_of(rivals, ids, objects, clicks):
    """Points one voxel apart on a line; every object is a class of its own."""
    clouds, _, scores = rivals
    objects = np.array(objects)
    xyz = np.stack([np.arange(len(objects)) + 0.5, *np.zeros((2, len(objects)))], 1)
    cloud = clouds.Labelled("line", xyz, None, objects, objects, 1.0, np.array(clicks))
    tally = scores.Tally.of(objects.max() + 1)
    tally.add(np.array(ids), cloud)
    return tally.row()


def test_a_perfect_cut(rivals):
    row = row_of(rivals, [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1], [0, 5])
    assert row == {"oracle_miou": 1.0, "ue": 0.0, "br": 1.0, "pure_clicks": 1.0}


def test_a_cut_that_leaks(rivals):
    # The third point of object 0 lies in a super-voxel of object 1, and its border is not cut.
    row = row_of(rivals, [0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 4])
    assert row["ue"] == pytest.approx(100 / 6, abs=1e-3)
    assert row["oracle_miou"] == pytest.approx((2 / 3 + 3 / 4) / 2, abs=1e-3)
    assert row["br"] == 0.0
    assert row["pure_clicks"] == 0.5


def test_a_known_scale_repeats_the_search(rivals):
    _, felzenszwalb, _ = rivals
    feature = np.repeat(np.random.default_rng(0).random((30, 3)), 10, 0).astype(np.float32)
    first = np.minimum(np.arange(301), 299)
    label, scale = felzenszwalb.felzenszwalb(feature, first, np.arange(1, 300), 30, 1)
    assert label.max() + 1 == 30
    again, _ = felzenszwalb.felzenszwalb(feature, first, np.arange(1, 300), 30, 1, scale)
    np.testing.assert_array_equal(label, again)
