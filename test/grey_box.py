from __future__ import annotations

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Preprocessing, preprocess


def grey_box_on_a_grey_floor():
    """Super-voxels of a scene where no colour tells anything, and four places that saw it."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-1.5, 1.5, (40_000, 2)), np.zeros(40_000)])
    floor = floor[np.abs(floor[:, :2]).max(axis=1) > 0.4]
    box = rng.uniform(-1, 1, (16_000, 3))
    box /= np.abs(box).max(axis=1, keepdims=True)
    box = box[box[:, 2] > -1] * [0.4, 0.4, 0.3] + [0, 0, 0.3]
    xyz = np.concatenate([floor, box]).astype(np.float32)
    grey = np.full((len(xyz), 3), 128, np.uint8)
    prepared = preprocess(Cloud(xyz, grey), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))
    corners = np.array([[-1.4, -1.4, 1.5], [1.4, -1.4, 1.5], [-1.4, 1.4, 1.5], [1.4, 1.4, 1.5]])
    return prepared, (corners - prepared.grid.origin).astype(np.float32)
