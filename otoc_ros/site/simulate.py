"""Clicks as a person would make them, for scenes whose ground truth is known.

One click per thing object, near its visible middle with the spread of a hand, and one per connected
surface of a stuff class. A scan holds only what the sensor saw, so each of its points is visible.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.voxels import mean_per_voxel, voxelize
from otoc_ros.site.clicks import Click
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import SiteConfig
from otoc_ros.site.truth import Truth

# The paper (arXiv 2104.02246) reports less than two minutes for the about 20 clicks of a scene.
SECONDS_PER_CLICK = 6.0

SPREAD = 0.15  # standard deviation of a click around the middle, as a share of the object's extent
CELL = 2.0  # voxels: points further apart than one to two such cells belong to different surfaces
SMALLEST_OBJECT = 20  # points; a person overlooks less
SMALLEST_SURFACE = 25  # cells; a person clicks no smaller fragment of a wall …
SMALLEST_SHARE = 0.02  # … nor one with a smaller share of what is seen of the class
BORDER = 1.5  # voxels: a click this close to another object is a border click


class _Target(NamedTuple):
    class_id: int
    object: int
    rows: NDArray[np.int64]  # its points


def simulate_clicks(
    scene: Scene,
    config: SiteConfig,
    rng: np.random.Generator,
    *,
    border: float = 0.0,
    wrong: float = 0.0,
) -> list[Click]:
    """The clicks of one scene, in the order of classes and objects.

    Args:
        rng: `scene_rng(seed, scene.name)` gives every scene clicks of its own.
        border: share of clicks that land on the object's border instead of near its middle.
        wrong: share of clicks that name another class of the table, drawn evenly.

    Returns:
        Clicks with ids drawn from `rng`; position is a point of the scan, `object` the truth's
        number (0 for stuff), `time` seconds since the first click.

    Raises:
        InputError: the scene has no ground truth, or a share is not within 0..1.
    """
    if not (0 <= border <= 1 and 0 <= wrong <= 1):
        raise InputError(f"shares of border ({border}) and wrong ({wrong}) clicks lie within 0..1")
    truth = scene.truth()
    if truth is None:
        raise InputError(f"scene {scene.name} has no ground truth to simulate clicks from")
    cloud = scene.cloud()
    clicks: list[Click] = []
    for target in _targets(cloud, truth, config):
        on_border = rng.random() < border
        choose = _on_border if on_border else _near_middle
        row = choose(cloud.xyz, truth, target, config.voxel_size, rng)
        named = target.class_id
        if rng.random() < wrong and len(config.classes) > 1:
            named = (named + int(rng.integers(1, len(config.classes)))) % len(config.classes)
        x, y, z = cloud.xyz[row].tolist()
        clicks.append(
            Click(
                id=rng.bytes(16).hex(),
                position=(x, y, z),
                class_name=config.classes[named].name,
                object=target.object,
                source="simulated",
                time=len(clicks) * SECONDS_PER_CLICK,
                seconds=SECONDS_PER_CLICK,
            )
        )
    return clicks


def scene_rng(seed: int, scene_name: str) -> np.random.Generator:
    """Random numbers that depend on the seed and the scene's name, and on no other scene."""
    return np.random.default_rng([seed, zlib.crc32(scene_name.encode())])


def _targets(cloud: Cloud, truth: Truth, config: SiteConfig) -> Iterator[_Target]:
    finite = np.isfinite(cloud.xyz).all(axis=1)
    unnumbered = int(truth.instance.max(initial=0)) + 1
    for class_id, known in enumerate(config.classes):
        rows = np.flatnonzero(finite & (truth.semantic == class_id))
        if known.kind == "stuff":
            for part in _surfaces(cloud.xyz, rows, config.voxel_size):
                yield _Target(class_id, 0, part)
            continue
        numbers = truth.instance[rows]
        for number in np.unique(numbers[numbers > 0]):
            part = rows[numbers == number]
            if len(part) >= SMALLEST_OBJECT:
                yield _Target(class_id, int(number), part)
        # Truth that does not tell objects apart: what hangs together is one.
        for part in _surfaces(cloud.xyz, rows[numbers == 0], config.voxel_size):
            yield _Target(class_id, unnumbered, part)
            unnumbered += 1


def _surfaces(
    xyz: NDArray[np.float32], rows: NDArray[np.int64], voxel_size: float
) -> list[NDArray[np.int64]]:
    """Connected parts of some points (cells that touch, corners included), large ones only."""
    if not len(rows):
        return []
    grid = voxelize(xyz[rows], CELL * voxel_size)
    pairs = cKDTree(grid.coords).query_pairs(1.5, p=np.inf, output_type="ndarray")
    cells = len(grid.coords)
    graph = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(cells, cells))
    count, part_of_cell = connected_components(graph, directed=False)
    sizes = np.bincount(part_of_cell, minlength=count)
    large = sizes >= max(SMALLEST_SURFACE, SMALLEST_SHARE * cells)
    part_of_point = part_of_cell[grid.voxel_of_point]
    return [rows[part_of_point == part] for part in np.flatnonzero(large)]


def _near_middle(
    xyz: NDArray[np.float32],
    truth: Truth,
    target: _Target,
    voxel_size: float,
    rng: np.random.Generator,
) -> Any:
    """The hand scatters about the middle; when it misses the object, it aims again.

    So the scatter is drawn among the object's voxels. The point nearest to a draw that may miss
    would be on the rim wherever the middle is empty, hidden or beside a thin thing.
    """
    points = xyz[target.rows].astype(np.float64)
    grid = voxelize(points, voxel_size)
    # Voxels: a sensor has far more points where the object is near.
    surface = mean_per_voxel(points - grid.origin, grid) + grid.origin
    scatter = SPREAD * np.maximum(np.ptp(points, axis=0), voxel_size)
    likely = -0.5 * (((surface - surface.mean(0)) / scatter) ** 2).sum(1)
    share = np.exp(likely - likely.max())
    hit = rng.choice(len(surface), p=share / share.sum())
    return target.rows[np.argmin(((points - surface[hit]) ** 2).sum(1))]


def _on_border(
    xyz: NDArray[np.float32],
    truth: Truth,
    target: _Target,
    voxel_size: float,
    rng: np.random.Generator,
) -> Any:
    points = xyz[target.rows]
    inside = np.zeros(len(xyz), bool)
    inside[target.rows] = True
    margin = BORDER * voxel_size
    low, high = points.min(0) - margin, points.max(0) + margin
    others = xyz[~inside & (xyz >= low).all(1) & (xyz <= high).all(1)]
    if len(others):
        distance = cKDTree(others).query(points, distance_upper_bound=margin)[0]
        near = target.rows[np.isfinite(distance)]
        if len(near):
            return rng.choice(near)
    # It touches nothing: its border is what lies furthest from its middle.
    return target.rows[np.argmax(((points - points.mean(0)) ** 2).sum(1))]
