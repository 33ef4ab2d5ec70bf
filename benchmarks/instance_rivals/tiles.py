"""Clouds of any number of thing voxels, made of what a bundle predicted of other clouds."""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.supervoxels import pool
from otoc_ros.core.voxels import VoxelGrid
from otoc_ros.perception import Understanding

GAP = 10  # voxels between two tiles


def finer(cloud: Understanding, points: Cloud, up: np.ndarray, voxel_size: float) -> Understanding:
    """The same understanding on smaller voxels and their super-voxels, each of what is nearest."""
    prepared = preprocess(points, Preprocessing(voxel_size=voxel_size), up)
    coarse = cloud.prepared
    tree = cKDTree(coarse.xyz + coarse.grid.origin)
    _, nearest = tree.query(prepared.xyz + prepared.grid.origin)
    belief = cloud.belief[coarse.supervoxel[nearest]]
    pooled = pool(belief, prepared.supervoxel, prepared.n_supervoxels)
    return Understanding(prepared, cloud.offset[nearest], pooled)


def things_only(cloud: Understanding, thing: np.ndarray) -> Understanding:
    """The super-voxels whose likeliest class is a thing."""
    prepared = cloud.prepared
    kept = thing[cloud.belief.argmax(axis=1)]
    rows = np.flatnonzero(kept[prepared.supervoxel])
    number = np.cumsum(kept) - 1
    return Understanding(
        _with_voxels(
            prepared,
            prepared.grid.coords[rows],
            prepared.xyz[rows],
            prepared.rgb[rows],
            prepared.normal[rows],
            number[prepared.supervoxel[rows]].astype(np.int32),
        ),
        cloud.offset[rows],
        cloud.belief[kept],
    )


def tiled(clouds: list[Understanding], voxels: int) -> Understanding:
    """Copies of the clouds side by side, cut off at a number of voxels."""
    coords, xyz, rgb, normal, ids, offset, belief = [], [], [], [], [], [], []
    at = have = groups = turn = 0
    while have < voxels:
        cloud = clouds[turn % len(clouds)]
        own, size = cloud.prepared.grid.coords, cloud.prepared.grid.voxel_size
        start = own[:, 0].min()
        coords.append(own + np.array([at - start, 0, 0], np.int32))
        xyz.append(cloud.prepared.xyz + np.array([(at - start) * size, 0, 0], np.float32))
        rgb.append(cloud.prepared.rgb)
        normal.append(cloud.prepared.normal)
        ids.append(cloud.prepared.supervoxel + groups)
        offset.append(cloud.offset)
        belief.append(cloud.belief)
        at += int(np.ptp(own[:, 0])) + GAP
        have += len(own)
        groups += len(cloud.belief)
        turn += 1
    kept = np.concatenate(ids)[:voxels]
    present, number = np.unique(kept, return_inverse=True)
    return Understanding(
        _with_voxels(
            clouds[0].prepared,
            np.concatenate(coords)[:voxels],
            np.concatenate(xyz)[:voxels],
            np.concatenate(rgb)[:voxels],
            np.concatenate(normal)[:voxels],
            number.reshape(-1).astype(np.int32),
        ),
        np.concatenate(offset)[:voxels],
        np.concatenate(belief)[present],
    )


def _with_voxels(prepared, coords, xyz, rgb, normal, supervoxel) -> Prepared:
    count = len(coords)
    rows = np.arange(count, dtype=np.int32)
    grid = VoxelGrid(
        coords, rows, np.ones(count, np.int32), prepared.grid.voxel_size, prepared.grid.origin
    )
    return replace(
        prepared,
        grid=grid,
        voxel_of_point=rows,
        xyz=xyz,
        rgb=rgb,
        normal=normal,
        supervoxel=supervoxel,
        n_supervoxels=int(supervoxel.max()) + 1,
    )
