"""From a click to the object under it: paths over touching super-voxels.

A path is cheap inside an object and dear across its border: each step costs the squared change of
colour and of surface direction, and of a network's feature where there is one. Large flat surfaces
(a floor, a wall, the top of a table) are islands that no path enters or leaves, for things stand on
them and hang on them. Uses what is seen alone, no class and no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra

from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.propagation import unit_rows
from otoc_ros.core.supervoxels import pool, pool_normals

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

COLOUR_STEP = 0.1  # change of mean colour (rgb in 0..1) that costs 1
NORMAL_STEP = 0.3  # change of the mean normal's parts that costs 1; a box's edge is passed twice
STEP_COST = 0.1  # a metre

# Chosen on simulated rooms of the train split and tabletop frames 0 to 32 as the limits that need
# the fewest clicks to 80 % IoU; benchmarks/clicking.py measures on others.
LIMIT = 45.0  # cost of the longest path from a click
FEATURE_LIMIT = 56.0  # the same where a network's feature counts, too
CLOSE = 0.1  # share of the limit that one step within an object costs at most
FEATURE_STEP = 0.1  # change of the unit feature that costs 1
MOST_REMEMBERED = 256  # paths of a cloud; 2 500 super-voxels make 10 kB each

FLAT = 0.8  # share of a super-voxel's normals along their main direction
PARALLEL = 0.94  # cosine between two pieces of one surface …
LEVEL = 1.5  # … and voxels that one may lie above the other
ALIKE = 0.45  # change of mean colour (rgb in 0..1) within one surface
LARGE = 0.03  # share of the scene's voxels from which a flat surface is an island


def touching(prepared: Prepared) -> csr_matrix:
    """Super-voxels that touch: sparse [M, M], the distance of their centres where they do."""
    pairs = prepared.borders.pairs
    center = pool(prepared.xyz, prepared.supervoxel, prepared.n_supervoxels)
    length = np.linalg.norm(center[pairs[:, 0]] - center[pairs[:, 1]], axis=1) + 1e-6
    shape = (prepared.n_supervoxels,) * 2
    graph: csr_matrix = coo_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=shape).tocsr()
    return graph


def crossing_costs(prepared: Prepared, graph: csr_matrix) -> csr_matrix:
    """What a step between two touching super-voxels costs: sparse [M, M], above 0.

    Args:
        graph: from `touching`.
    """
    edges = graph.tocoo()
    cost = STEP_COST * edges.data + 1e-4
    for values, scale in ((prepared.rgb, COLOUR_STEP), (np.abs(prepared.normal), NORMAL_STEP)):
        if values is not None:
            mean = pool(values, prepared.supervoxel, prepared.n_supervoxels)
            cost += ((mean[edges.row] - mean[edges.col]) ** 2).sum(axis=1) / scale**2
    costs: csr_matrix = coo_matrix((cost, (edges.row, edges.col)), shape=graph.shape).tocsr()
    return costs


def flat_surfaces(prepared: Prepared, graph: csr_matrix) -> I32:
    """The large flat surfaces: int32 [M], number of the surface, -1 = on none.

    Args:
        graph: from `touching`.
    """
    count = prepared.n_supervoxels
    length, axis = np.linalg.eigh(pool_normals(prepared.normal, prepared.supervoxel, count))
    main = axis[:, :, 2]
    flat = length[:, 2] > FLAT * np.maximum(length.sum(axis=1), 1e-9)
    center = pool(prepared.xyz, prepared.supervoxel, count)
    edges = graph.tocoo()
    way = center[edges.col] - center[edges.row]
    above = np.maximum(
        np.abs((way * main[edges.row]).sum(axis=1)), np.abs((way * main[edges.col]).sum(axis=1))
    )
    parallel = np.abs((main[edges.row] * main[edges.col]).sum(axis=1)) > PARALLEL
    level = above < LEVEL * prepared.settings.voxel_size
    one = parallel & level & flat[edges.row] & flat[edges.col]
    if prepared.rgb is not None:  # two cupboards side by side are no wall
        mean = pool(prepared.rgb, prepared.supervoxel, count)
        one &= ((mean[edges.row] - mean[edges.col]) ** 2).sum(axis=1) < ALIKE**2
    pieces = coo_matrix((one[one], (edges.row[one], edges.col[one])), shape=graph.shape)
    _, surface = connected_components(pieces, directed=False)
    area = np.bincount(surface[prepared.supervoxel], minlength=int(surface.max()) + 1)
    large = area > LARGE * len(prepared.xyz)
    number: I32 = np.where(large[surface], surface, -1).astype(np.int32)
    return number


@dataclass(frozen=True)
class Seeds:
    """What was said about one object.

    Attributes:
        inside: super-voxels that were clicked as part of it, at least one.
        outside: super-voxels that were said not to be part of it.
        is_surface: a floor, a wall: where it was clicked on an island it stays there. Other things
            have no islands: one that is large and flat by itself goes on beyond.
    """

    inside: tuple[int, ...]
    outside: tuple[int, ...] = ()
    is_surface: bool = False


class Growth:
    """Grows objects over the M super-voxels of one cloud; remembers paths it has found.

    Args:
        prepared: the cloud.
        feature: float32 [M, D], a network's feature of each super-voxel; None: by geometry and
            colour alone.
    """

    def __init__(self, prepared: Prepared, feature: F32 | None = None) -> None:
        graph = touching(prepared)
        self._island = flat_surfaces(prepared, graph)
        edges = crossing_costs(prepared, graph).tocoo()
        self._row, self._col, self._cost = edges.row, edges.col, edges.data
        self._limit = LIMIT
        if feature is not None:
            unit = unit_rows(feature)
            change = ((unit[self._row] - unit[self._col]) ** 2).sum(axis=1)
            self._cost = self._cost + change / FEATURE_STEP**2
            self._limit = FEATURE_LIMIT
        self._found: dict[tuple[tuple[int, ...], bool], F32] = {}

    def __call__(self, objects: Sequence[Seeds]) -> I32:
        """Let objects grow until they meet: int32 [M], row of the object, -1 = of none.

        A super-voxel that was clicked goes to the last object that it was clicked for.
        """
        owner = np.full(len(self._island), -1, np.int32)
        nearest = np.full(len(owner), np.inf, np.float32)
        for row, seeds in enumerate(objects):
            cost = self.paths(seeds.inside, seeds.is_surface)
            mine = (cost <= nearest) & np.isfinite(cost)  # of equal ones the later one holds
            if seeds.outside:
                mine &= cost < self.paths(seeds.outside, seeds.is_surface)
            owner[mine] = row
            nearest[mine] = cost[mine]
        for row, seeds in enumerate(objects):
            owner[list(seeds.outside)] = np.where(
                owner[list(seeds.outside)] == row, -1, owner[list(seeds.outside)]
            )
            owner[list(seeds.inside)] = row
        return owner

    def paths(self, seeds: tuple[int, ...], is_surface: bool = False) -> F32:
        """Cost from the nearest of some super-voxels to each: float32 [M], inf beyond the limit."""
        asked = seeds, is_surface
        if asked not in self._found:
            if len(self._found) >= MOST_REMEMBERED:
                self._found.pop(next(iter(self._found)))
            self._found[asked] = dijkstra(
                self._ways(seeds, is_surface),
                directed=False,
                indices=list(seeds),
                min_only=True,
                limit=self._limit,
            ).astype(np.float32)
        return self._found[asked]

    def pieces(self, among: NDArray[np.bool_]) -> I32:
        """What hangs together so closely that it is probably one object.

        Args:
            among: bool [M], super-voxels that take part; each other one is a piece by itself.

        Returns:
            int32 [M], number of the piece.
        """
        close = self._cost < CLOSE * self._limit
        close &= among[self._row] & among[self._col]
        close &= self._island[self._row] == self._island[self._col]
        pairs = (self._cost[close], (self._row[close], self._col[close]))
        graph = coo_matrix(pairs, shape=(len(self._island),) * 2)
        number: I32 = connected_components(graph, directed=False)[1]
        return number

    def _ways(self, seeds: tuple[int, ...], is_surface: bool) -> csr_matrix:
        """The steps that may be taken: none to or from an island."""
        island = self._island
        if not is_surface:  # what was clicked is no island
            island = np.where(np.isin(island, island[list(seeds)]), -1, island)
        stays = island[self._row] == island[self._col]
        ways: csr_matrix = coo_matrix(
            (self._cost[stays], (self._row[stays], self._col[stays])), shape=(len(island),) * 2
        ).tocsr()
        return ways
