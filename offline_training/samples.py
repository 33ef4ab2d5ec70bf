"""Random crops of scenes, turned, tilted and recoloured: what one training step looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offline_training import parallel
from offline_training.scenes import TrainingCloud, TrainingScene
from offline_training.sparse import Maps
from otoc_ros.core.preprocess import (
    Preprocessing,
    assemble_features,
    brightness_deviation,
    inner_position,
)
from otoc_ros.core.voxels import VoxelGrid, mean_per_voxel, voxelize

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

TILT = np.deg2rad(5.0)
SCALE = 0.1
HEIGHT_SHIFT = 0.3  # metres, σ; live views do not always see the floor


@dataclass(frozen=True, eq=False)
class Targets:
    """What a scene's voxels are taught.

    Attributes:
        label: int32 [V], class or -1.
        weight: float32 [V], weight in the loss.
        center: float32 [V, 3], centre of the voxel's object relative to the grid's origin, NaN
            where there is none.
    """

    label: I32
    weight: F32
    center: F32


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops as the networks take them; V voxels, M super-voxels over all crops.

    Attributes:
        features: float32 [V, F].
        maps: kernel maps of the batch.
        label: int64 [V], -1 = none; weight: float32 [V].
        offset: float32 [V, 3] to the object's centre, metres, NaN = none.
        supervoxel: int64 [V] in 0..M-1, or -1 where a raw view saw what the fused scan does not.
        n_supervoxels: M.
    """

    features: Tensor
    maps: Maps
    label: Tensor
    weight: Tensor
    offset: Tensor
    supervoxel: Tensor
    n_supervoxels: int


@dataclass(frozen=True, eq=False)
class _Crop:
    coords: I32
    features: F32
    voxel: I32  # row of the scene's voxels, -1 = none
    offset: F32


def draw_batch(
    scenes: Sequence[TrainingScene],
    targets: Sequence[Targets],
    settings: Preprocessing,
    crops: int,
    levels: int,
    max_voxels: int,
    colourless: float,
    views: float,
    rng: np.random.Generator,
    device: torch.device,
) -> Batch:
    """Draw crops of at most `max_voxels` voxels together, each from a scene of its own draw.

    With several processes each gets its share of these crops.

    Args:
        colourless: share of crops shown without colour; views: of raw views among them, where a
            scene keeps some.
    """
    chosen = rng.choice(len(scenes), crops, replace=len(scenes) < crops)
    mine = parallel.dealt(crops)
    parts, labels, weights, groups = [], [], [], []
    groups_before = 0
    for row, own in zip(chosen[mine], rng.spawn(crops)[mine], strict=True):
        scene, target = scenes[row], targets[row]
        crop = _draw_crop(scene, target, settings, max_voxels // crops, colourless, views, own)
        known = crop.voxel >= 0
        labels.append(np.where(known, target.label[crop.voxel], -1))
        weights.append(np.where(known, target.weight[crop.voxel], 0).astype(np.float32))
        present, group = np.unique(
            scene.prepared.supervoxel[crop.voxel[known]], return_inverse=True
        )
        whole = np.full(len(crop.voxel), -1, np.int64)
        whole[known] = group + groups_before
        groups.append(whole)
        groups_before += len(present)
        parts.append(crop)
    sizes = [len(part.coords) for part in parts]
    batch = np.repeat(np.arange(len(parts), dtype=np.int32), sizes)
    coords = np.column_stack([batch, np.concatenate([part.coords for part in parts])])

    def tensor(arrays: Sequence[NDArray[Any]]) -> Tensor:
        return torch.from_numpy(np.concatenate(arrays)).to(device)

    return Batch(
        features=tensor([part.features for part in parts]),
        maps=Maps.build(coords, levels, device),
        label=tensor(labels).long(),
        weight=tensor(weights),
        offset=tensor([part.offset for part in parts]),
        supervoxel=tensor(groups),
        n_supervoxels=groups_before,
    )


def labelled_parts(scene: TrainingScene, targets: Targets) -> list[int]:
    """The parts of a scan in which something is taught."""
    taught = targets.label >= 0
    if len(scene.parts) == 1:
        return [0] if taught.any() else []
    return [row for row, part in enumerate(scene.parts) if taught[part.voxel].any()]


def _draw_crop(
    scene: TrainingScene,
    target: Targets,
    settings: Preprocessing,
    max_voxels: int,
    colourless: float,
    views: float,
    rng: np.random.Generator,
) -> _Crop:
    cloud = scene.parts[0 if len(scene.parts) == 1 else int(rng.integers(len(scene.parts)))]
    if len(scene.views) and rng.random() < views:
        cloud = scene.views[int(rng.integers(len(scene.views)))]
    points = int(max_voxels * cloud.density * 0.95)
    inside = _around_a_point(cloud, target, points, rng)
    turn = _random_turn(rng)
    xyz = cloud.xyz[inside] @ turn.T
    grid = voxelize(xyz, settings.voxel_size)
    first = np.full(len(grid.coords), len(inside), np.int64)
    np.minimum.at(first, grid.voxel_of_point, np.arange(len(inside)))
    voxel = cloud.voxel[inside][first]
    position = mean_per_voxel(xyz, grid)
    center = np.where((voxel >= 0)[:, None], target.center[voxel], np.nan)
    aligned = center + scene.prepared.grid.origin.astype(np.float32)
    rgb = texture = None
    if cloud.rgb is not None and rng.random() >= colourless:
        rgb, texture = _random_colour(cloud.rgb[inside], grid, rng)
    features = assemble_features(
        settings.features,
        rgb=rgb,
        texture=texture,
        height=mean_per_voxel(cloud.height[inside, None], grid)[:, 0]
        + np.float32(rng.normal(0, HEIGHT_SHIFT) * (rng.random() < 0.5)),
        upness=mean_per_voxel(
            (cloud.normal[inside] @ turn[2:].T / np.linalg.norm(turn[2])) ** 2, grid
        )[:, 0],
        inner=inner_position(
            position - grid.origin.astype(np.float32), grid.coords, settings.voxel_size
        ),
    )
    offset = (aligned @ turn.T - position).astype(np.float32)
    if len(grid.coords) > max_voxels:  # a dense spot: the estimate of points per voxel fell short
        keep = slice(0, max_voxels)
        return _Crop(grid.coords[keep], features[keep], voxel[keep], offset[keep])
    return _Crop(grid.coords, features, voxel, offset)


def _around_a_point(
    cloud: TrainingCloud, target: Targets, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of an upright column of points around a random, mostly a labelled one."""
    if len(cloud.xyz) <= count:
        return np.arange(len(cloud.xyz))
    label = np.where(cloud.voxel >= 0, target.label[cloud.voxel], -1)
    present = np.unique(label[label >= 0])
    candidates: NDArray[np.int64] = np.arange(len(cloud.xyz))
    if len(present) and rng.random() < 0.8:  # every class as often: walls fill most of any room
        candidates = np.flatnonzero(label == rng.choice(present))
    center = cloud.xyz[rng.choice(candidates), :2]
    distance = ((cloud.xyz[:, :2] - center) ** 2).sum(axis=1)
    return np.sort(np.argpartition(distance, count)[:count])


def _random_turn(rng: np.random.Generator) -> F32:
    """Any yaw, a small tilt, a mirror and a scale: float32 [3, 3]."""
    yaw, roll, pitch = rng.uniform(-np.pi, np.pi), *rng.uniform(-TILT, TILT, 2)
    turn = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll)
    turn[:, 0] *= rng.choice([-1.0, 1.0])
    return (turn * rng.uniform(1 - SCALE, 1 + SCALE)).astype(np.float32)


def _about(axis: int, angle: float) -> NDArray[np.float64]:
    turn = np.eye(3)
    one, two = (axis + 1) % 3, (axis + 2) % 3
    turn[[one, two], [one, two]] = np.cos(angle)
    turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
    return turn


def _random_colour(rgb: F32, grid: VoxelGrid, rng: np.random.Generator) -> tuple[F32, F32]:
    """Colour and texture of the voxels in other light: float32 [V, 3] and [V]."""
    mean = mean_per_voxel(rgb, grid)
    contrast, brightness = rng.uniform(0.8, 1.25), rng.normal(0, 0.08)
    tint = rng.normal(0, 0.03, 3)
    noise = rng.normal(0, 0.02, mean.shape)
    lit = np.clip((mean - 0.5) * contrast + 0.5 + brightness + tint + noise, 0, 1)
    return lit.astype(np.float32), brightness_deviation(rgb, grid) * np.float32(contrast)
