"""Many frames as one cloud: points of a voxel are averaged, the better measured ones count more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.camera import Frame
from otoc_ros.core.cloud import Cloud

_FEWEST_RETURNS = 2  # in a voxel
_FEWEST_POINTS = 30  # of an object: whoever labels the scan would not notice less


def fuse(frames: list[Frame], voxel: float) -> tuple[Cloud, NDArray[np.int32], NDArray[np.int32]]:
    """Cloud in the room frame with semantic and instance int32 [N] per point.

    voxel: metres. Truth is that of the object with most points in the voxel. A point at range z
    weighs 1 / z⁴, the inverse variance of its depth. A voxel that was measured once is left out, as
    every mapping system filters its outliers.
    """
    seen = [np.isfinite(f.cloud.xyz[:, 2]) for f in frames]
    xyz = np.concatenate(
        [
            f.cloud.xyz[s] @ f.pose[:3, :3].T + f.pose[:3, 3]
            for f, s in zip(frames, seen, strict=True)
        ]
    )
    colors = [f.cloud.rgb[s] for f, s in zip(frames, seen, strict=True) if f.cloud.rgb is not None]
    rgb = np.concatenate(colors).astype(np.float64)
    depth = np.concatenate([f.cloud.xyz[s, 2] for f, s in zip(frames, seen, strict=True)])
    semantic = np.concatenate([f.semantic[s] for f, s in zip(frames, seen, strict=True)])
    instance = np.concatenate([f.instance[s] for f, s in zip(frames, seen, strict=True)])

    cell = np.floor((xyz - xyz.min(0)) / voxel).astype(np.int64)
    size = cell.max(0) + 1
    cell_key = (cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2]
    label = (semantic.astype(np.int64) + 1) * (instance.max() + 1) + instance
    labels = int(label.max()) + 1
    order = np.argsort(cell_key * labels + label, kind="stable")
    key, label = cell_key[order], label[order]

    start = np.flatnonzero(np.diff(key, prepend=-1))
    weight = 1.0 / np.maximum(depth[order], 0.5) ** 4
    total = np.add.reduceat(weight, start)[:, None]
    steady = np.diff(np.append(start, len(key))) >= _FEWEST_RETURNS
    mean = np.add.reduceat(xyz[order] * weight[:, None], start) / total
    color = np.add.reduceat(rgb[order] * weight[:, None], start) / total

    # Runs of one label within one voxel; the longest run of each voxel gives its truth.
    run = np.flatnonzero(np.diff(key * labels + label, prepend=-1))
    length = np.diff(np.append(run, len(key)))
    best = np.lexsort((-length, key[run]))
    first = best[np.flatnonzero(np.diff(key[run][best], prepend=-1))]
    winner = label[run[first]][steady]
    fused_semantic = (winner // (instance.max() + 1) - 1).astype(np.int32)
    fused_instance = (winner % (instance.max() + 1)).astype(np.int32)
    glimpsed = np.bincount(fused_instance) < _FEWEST_POINTS
    glimpsed[0] = False
    fused_semantic[glimpsed[fused_instance]] = -1
    fused_instance[glimpsed[fused_instance]] = 0
    cloud = Cloud(mean[steady].astype(np.float32), np.round(color[steady]).astype(np.uint8))
    return cloud, fused_semantic, fused_instance
