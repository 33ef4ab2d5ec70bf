"""The baseline: region growing over voxels, by the smoothness of the surface and its colour.

As in PCL's region growing: a voxel joins the region of a neighbour whose normal and colour are
close to its own. Clicks outside take back what they reach more cheaply than the clicks inside.
"""

from __future__ import annotations

import numpy as np
from clicking_person import Case, voxel_edges
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

# Fewest clicks to 80 % among 21 settings on a room of the train split and tabletop frames below 33;
# one setting for both would be far worse on one of them. Degrees between the normals of neighbours,
# and change of colour (rgb in 0..1) between them.
ROOMS, TABLETOP = (45.0, 0.08), (25.0, 0.4)


class RegionGrowing:
    """Grows from clicks on one cloud."""

    def __init__(self, case: Case, angle: float, colour: float) -> None:
        prepared = case.prepared
        one, other = voxel_edges(prepared)
        cosine = np.abs((prepared.normal[one] * prepared.normal[other]).sum(1))
        joins = cosine >= np.cos(np.radians(angle))
        if prepared.rgb is not None:
            apart = np.linalg.norm(prepared.rgb[one] - prepared.rgb[other], axis=1)
            joins &= apart <= colour
        voxels = len(prepared.xyz)
        steps = (np.ones(joins.sum()), (one[joins], other[joins]))
        self._graph: csr_matrix = coo_matrix(steps, shape=(voxels, voxels)).tocsr()

    def __call__(self, inside: list[int], outside: list[int]) -> np.ndarray:
        reach = dijkstra(self._graph, directed=False, indices=inside, min_only=True)
        found = np.isfinite(reach)
        if outside:
            found &= reach < dijkstra(self._graph, directed=False, indices=outside, min_only=True)
        found[inside] = True
        return found
