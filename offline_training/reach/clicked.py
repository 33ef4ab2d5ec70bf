"""A scene's super-voxels, each beside each of the scene's clicks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from offline_training.scenes import Mark
from otoc_ros.core.border_look import heights, knows_sides
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

PATH_FEATURES = 8
CLICK_FEATURES = PATH_FEATURES + 28
NO_STEP = 1e-3  # what a step costs at least: no path is free
# Costs from which a click is out of reach; no path is followed farther.
FARTHEST = {"highest": 8.0, "sum": 30.0, "way": 100.0}
POWER = 3  # (Σ step³)^⅓ is about the highest step of a path: one border parts, not many steps


@dataclass(frozen=True, eq=False)
class ClickedScene:
    """What is known of a scene with J clicks on its M super-voxels.

    Attributes:
        look: of the super-voxels; behind: float32 [M], share of what is near that lies behind.
        pairs: int64 [E, 2], super-voxels that touch; together: float64 [E], probability that one
            object has both.
        place: int64 [J], super-voxel of each click; name: int64 [J], its class; thing: bool [J].
        paths: float32 [PATH_FEATURES, J, M], what paths from each click tell.
        height: float32 [M], in super-voxel sizes above the lowest points.
        coloured: whether there is colour.
    """

    look: Look
    behind: F32
    pairs: I64
    together: F64
    place: I64
    name: I64
    thing: NDArray[np.bool_]
    paths: F32
    height: F32
    coloured: bool

    @classmethod
    def of(
        cls,
        prepared: Prepared,
        look: Look,
        behind: F32,
        log_together: F64,
        marks: list[Mark],
        thing: NDArray[np.bool_],
    ) -> ClickedScene:
        """Find the paths from every click: the cheapest ones, where a step costs -log `together`
        (about the highest step alone counts, or their sum) or its length.

        Args:
            log_together: float64 [E], log-probability that one object has both of a pair.
            marks: clicks, at least one. thing: bool [C].
        """
        pairs, place = prepared.borders.pairs, np.array([mark.supervoxel for mark in marks])
        name = np.array([mark.class_id for mark in marks])
        ends = look.center[pairs]
        length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1) / look.size
        step = NO_STEP - log_together

        def paths(cost: F64, farthest: float) -> F32:
            graph = symmetric(pairs, cost, prepared.n_supervoxels)
            found = dijkstra(graph, indices=place, limit=farthest)
            return np.asarray(np.minimum(found, farthest), np.float32)

        highest = paths(step**POWER, FARTHEST["highest"] ** POWER) ** np.float32(1 / POWER)
        total, way = paths(step, FARTHEST["sum"]), paths(NO_STEP + length, FARTHEST["way"])
        return cls(
            look=look,
            behind=behind,
            pairs=pairs,
            together=np.exp(log_together),
            place=place,
            name=name,
            thing=thing[name],
            paths=np.stack(
                [
                    *(highest, total, way),
                    *(ahead_of_others(cost) for cost in (highest, total, way)),
                    *(_area_as_near(cost, look) for cost in (highest, total)),
                ]
            ),
            height=heights(prepared, look),
            coloured=prepared.rgb is not None,
        )

    def describe(self, rows: slice) -> F32:
        """Features of some super-voxels beside each click: float32 [m, J, CLICK_FEATURES]."""
        columns = [
            *self.paths[:, :, rows].swapaxes(1, 2),
            *self._of_looks(rows),
            *self._of_each(rows),
        ]
        return np.stack(columns, axis=2).astype(np.float32)

    def _of_looks(self, rows: slice) -> list[F32]:
        look, place = self.look, self.place
        way = (look.center[rows, None] - look.center[place]) / np.float32(look.size)
        facing = look.facing[rows, None]
        brightness = look.brightness[rows, None] - look.brightness[place]
        apart = np.linalg.norm(way, axis=2)
        ahead = (way * look.facing[place]).sum(axis=2)
        return [
            apart,
            np.log1p(apart),
            way[:, :, 2],
            np.abs(way[:, :, 2]),
            np.linalg.norm(way[:, :, :2], axis=2),
            np.linalg.norm(look.ratio[rows, None] - look.ratio[place], axis=2),
            brightness,
            np.abs(brightness),
            np.linalg.norm(look.direction[rows, None] - look.direction[place], axis=2),
            (facing * look.facing[place]).sum(axis=2),
            ahead,
            np.abs(ahead),
            np.abs((way * facing).sum(axis=2)),
        ]

    def _of_each(self, rows: slice) -> list[F32]:
        look, place = self.look, self.place
        flat = np.linalg.norm(look.facing, axis=1)
        area = np.log(look.area / look.size**2 + 1e-3)
        seen = (len(look.center[rows]), len(place))
        alone = [look.facing[:, 2], self.behind, flat, area, self.height]
        columns = [np.broadcast_to(each[rows, None], seen) for each in alone]
        columns += [np.broadcast_to(each[place], seen) for each in alone]
        columns.append(np.broadcast_to(self.thing.astype(np.float32), seen))
        columns += [np.full(seen, known) for known in (self.coloured, knows_sides(look))]
        # Of one click for each of many classes another is meant than of many for one class.
        columns += [np.full(seen, np.log(n)) for n in (len(place), len(np.unique(self.name)))]
        return columns


def _area_as_near(cost: F32, look: Look) -> F32:
    """log of the area that is as near to a click as each super-voxel, in squares of a super-voxel's
    size: float32 [J, M]. Where a path leaves a picture for its wall, all of the wall is as near at
    once."""
    order = np.argsort(cost, axis=1, kind="stable")
    area = np.empty(cost.shape)
    np.put_along_axis(area, order, np.cumsum(look.area[order], axis=1), axis=1)
    return np.log(area / look.size**2).astype(np.float32)


def ahead_of_others(cost: F32) -> F32:
    """Each click's cost less that of the best other one: float32 [J, M], below 0 for the best."""
    if len(cost) == 1:
        return cost * 0
    least, next_best = np.partition(cost, 1, axis=0)[:2]
    return np.asarray(cost - np.where(cost <= least, next_best, least), np.float32)


def symmetric(pairs: I64, values: F64, count: int) -> csr_matrix:
    """Values of pairs of super-voxels as a matrix [M, M], the same in both directions."""
    half = coo_matrix((values, tuple(pairs.T)), shape=(count, count))
    whole: csr_matrix = (half + half.T).tocsr()
    return whole
