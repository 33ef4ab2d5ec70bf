"""How hard it is to get from each super-voxel to the clicks, before any network is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from offline_training.scenes import Mark, TrainingScene
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.propagation import log_softmax
from otoc_ros.core.supervoxels import pool
from otoc_ros.core.voxels import mean_per_voxel, voxelize

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# What a step between two super-voxels that touch costs. Chosen, like the rest, on rooms of the dev
# split. Shadows change brightness more than they change the ratio of the colours.
BRIGHTNESS_SHARE = 0.45  # of a change of mean brightness (0..1), beside that of the colour ratios
DIRECTION_SHARE = 0.1  # of a change of the normal tensor
CREASE = 0.15  # of a concave bend: one thing stands on or against another
FORWARD = 0.1  # for a parallel face that lies a voxel or more in front
LEVEL = 0.7  # z of a normal from which a surface is level
PARALLEL = 4  # power of the cosine between faces that still count as parallel
DARK = 0.2  # added to the brightness that ratios divide by: dark colours are noise
PATH_POWER = 3  # a path costs (Σ step³)^⅓, about its highest step: a border, not its length, parts
STEP_A_METRE = 0.2  # what things cost beside their path: they end, while walls go on
STUFF_JUMP = 0.3  # stuff also goes on where no path leads, behind corners and furniture
TURNED_STUFF = 0.3  # a wall stays upright and a floor level; times the change of normal_z²
BOUNDING = 0.5  # for stuff with all that is near behind it: stuff bounds the place
BACKED = 0.4  # for a thing to go on where less is behind it than where it was clicked
# In sizes of a super-voxel, the scale that a site is seen at:
BEHIND_RADIUS = 2.5  # what counts as near
BEHIND_CELL = 0.33  # surfaces are counted in cells of this size
BEHIND_DEPTH = 0.1  # behind its plane, from which a cell is behind a super-voxel
BEHIND_MOST = 512  # cells near one super-voxel that are looked at
ROWS_AT_ONCE = 4096  # bounds the memory of all that is near all super-voxels
REACH_SCALE = 0.1  # cost that divides a class's odds by e
AT_ONCE = 16  # clicks whose paths are found together
LONGEST_REACH = 8.0  # in REACH_SCALE; a class without clicks in the scene is not impossible


def click_reach(scene: TrainingScene, graph: csr_matrix, thing: NDArray[np.bool_]) -> F32:
    """How hard it is to get from each super-voxel to the nearest click of each class.

    A path over touching super-voxels is cheap inside an object and dear across a border of colour
    or a crease. Where every object has its click this tells much before any network is trained.
    Uses clicks alone.

    Args:
        graph: from `touching`.
        thing: bool [C].

    Returns:
        float32 [M, C], log-probabilities over classes.
    """
    prepared = scene.prepared
    look = Look.of(prepared, scene.sensors)
    edges = graph.tocoo()
    steps = look.step(edges.row, edges.col) ** PATH_POWER + 1e-9
    paths = coo_matrix((steps, (edges.row, edges.col)), shape=graph.shape).tocsr()
    reach = np.full((prepared.n_supervoxels, len(thing)), LONGEST_REACH * REACH_SCALE)
    limit = (LONGEST_REACH * REACH_SCALE) ** PATH_POWER  # what costs more is not reached at all
    marks = [mark for mark in scene.marks if mark.kind != "exclude"]
    for mark, cost in _paths_from(marks, paths, limit):
        cost **= 1 / PATH_POWER
        if thing[mark.class_id]:
            away = np.linalg.norm(look.center - look.center[mark.supervoxel], axis=1)
            cost = cost + STEP_A_METRE * away
            cost += BACKED * np.maximum(look.behind[mark.supervoxel] - look.behind, 0)
        else:
            jump = STUFF_JUMP + look.unlike_colour(slice(None), mark.supervoxel)
            level = look.direction[:, 2]
            cost = np.minimum(cost, jump)
            cost = cost + TURNED_STUFF * np.abs(level - level[mark.supervoxel])
            cost += BOUNDING * look.behind
        reach[:, mark.class_id] = np.minimum(reach[:, mark.class_id], cost)
    return log_softmax((-reach / REACH_SCALE).astype(np.float32))


def _paths_from(
    marks: Sequence[Mark], paths: csr_matrix, limit: float
) -> Iterator[tuple[Mark, F64]]:
    """Each mark with the cost from it to every super-voxel: float64 [M], inf beyond the limit."""
    for begin in range(0, len(marks), AT_ONCE):  # the graph is turned round once for many
        some = marks[begin : begin + AT_ONCE]
        sources = [mark.supervoxel for mark in some]
        costs = dijkstra(paths, directed=False, indices=sources, limit=limit)
        yield from zip(some, costs, strict=True)


def nothing_reached(scene: TrainingScene, classes: int) -> F32:
    """What `click_reach` says where it says nothing: every class alike, float32 [M, C]."""
    return np.full((scene.prepared.n_supervoxels, classes), -np.log(classes), np.float32)


@dataclass(frozen=True, eq=False)
class Look:
    """Mean look of M super-voxels.

    Attributes:
        center: float32 [M, 3], metres.
        direction: float32 [M, 6], mean of the normal tensor n nᵀ, √2 off its diagonal.
        facing: float32 [M, 3], mean normal on the side that was seen; of unit length where the
            surface is flat, zero where nobody knows the side.
        ratio: float32 [M, 3], colours over their mean; brightness: float32 [M]. Zero without
            colour.
        behind: float32 [M], 0..1, share of the surfaces near by that lie behind: little behind
            walls and floors, much behind what stands before and on them.
        voxel_size: metres.
    """

    center: F32
    direction: F32
    facing: F32
    ratio: F32
    brightness: F32
    behind: F32
    voxel_size: float

    @classmethod
    def of(cls, prepared: Prepared, sensors: F32) -> Look:
        def pooled(values: F32) -> F32:
            return pool(values, prepared.supervoxel, prepared.n_supervoxels)

        normal = prepared.normal
        x, y, z = normal.T
        root = np.float32(np.sqrt(2))
        tensor = [x * x, y * y, z * z, root * x * y, root * x * z, root * y * z]
        black = np.zeros_like(prepared.xyz)
        rgb = pooled(black if prepared.rgb is None else prepared.rgb)
        brightness = rgb.mean(axis=1)
        center, facing = pooled(prepared.xyz), pooled(_facing(prepared, sensors))
        return cls(
            center=center,
            direction=pooled(np.column_stack(tensor)),
            facing=facing,
            ratio=rgb / (brightness[:, None] + np.float32(DARK)),
            brightness=brightness,
            behind=_behind(prepared, center, facing),
            voxel_size=prepared.settings.voxel_size,
        )

    def step(self, one: I32, other: I32) -> F64:
        """What it costs to go between super-voxels that touch: float64 [pairs]."""
        turned = np.linalg.norm(self.direction[one] - self.direction[other], axis=1)
        shape = DIRECTION_SHARE * turned + self._fold(one, other) + self._forward(one, other)
        return np.asarray(self.unlike_colour(one, other) + shape, np.float64)

    def _fold(self, one: I32, other: I32) -> F64:
        """Concave creases part what convex edges do not (LCCP, CVPR 2014): float64 [pairs]."""
        way = (self.center[other] - self.center[one]).astype(np.float64)
        way /= np.linalg.norm(way, axis=1, keepdims=True) + 1e-9
        bend = (way * (self.facing[other] - self.facing[one])).sum(axis=1)  # below 0: concave
        return np.asarray(CREASE * np.maximum(-bend, 0.0), np.float64)

    def _forward(self, one: I32, other: I32) -> F64:
        """A picture hangs in front of its wall: float64 [pairs], 0..FORWARD."""
        way = self.center[other] - self.center[one]
        depth = np.abs((way * (self.facing[one] + self.facing[other]) / 2).sum(axis=1))
        parallel = np.clip((self.facing[one] * self.facing[other]).sum(axis=1), 0, 1) ** PARALLEL
        return np.asarray(FORWARD * np.minimum(depth / self.voxel_size, 1) * parallel, np.float64)

    def unlike_colour(self, one: Any, other: Any) -> F64:
        """How unlike the colours of pairs of super-voxels are: float64 [pairs]."""
        ratio = np.linalg.norm(self.ratio[one] - self.ratio[other], axis=-1)
        brightness = np.abs(self.brightness[one] - self.brightness[other])
        return np.asarray(ratio + BRIGHTNESS_SHARE * brightness, np.float64)


def _behind(prepared: Prepared, center: F32, facing: F32) -> F32:
    """Share of the surfaces near each super-voxel that lie behind its plane: float32 [M]."""
    size = prepared.settings.supervoxel_size
    cells = mean_per_voxel(prepared.xyz, voxelize(prepared.xyz, BEHIND_CELL * size))
    facing = facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), np.float32(1e-6))
    depth, radius = np.float32(BEHIND_DEPTH * size), BEHIND_RADIUS * size
    tree, ranks = cKDTree(cells), np.arange(1, min(BEHIND_MOST, len(cells)) + 1)
    behind = np.empty(len(center), np.float32)
    for begin in range(0, len(center), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        _, near = tree.query(center[rows], k=ranks, distance_upper_bound=radius)
        inside = near < len(cells)
        way = cells[np.where(inside, near, 0)] - center[rows, None]
        further = ((way * facing[rows, None]).sum(axis=2) < -depth) & inside
        behind[rows] = further.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return behind


def _facing(prepared: Prepared, sensors: F32) -> F32:
    """Normals turned to the nearest sensor, float32 [V, 3]; without any only what is level has a
    side: it is seen from above."""
    normal = prepared.normal
    if len(sensors) == 0:
        return np.where(normal[:, 2:] > LEVEL, normal, np.float32(0))
    _, nearest = cKDTree(sensors).query(prepared.xyz)
    toward = ((sensors[nearest] - prepared.xyz) * normal).sum(axis=1, keepdims=True)
    return np.where(toward < 0, -normal, normal)
