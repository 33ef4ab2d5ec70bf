"""Clusters that are one object behind another one: what stands before it parts what is seen of it.

PointGroup joins such halves where their offsets meet (arXiv 2004.01658, its shifted coordinates).
Networks that learnt from one click an object never saw which halves belong together, because a
click grows over what touches. Geometry tells instead: faces of both halves lie in one plane, and
all that a ray toward the gap between them meets is nearer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool_normals
from otoc_ros.core.view import View

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Chosen on views of set-ups that no network learnt from.
GAP = 1.5  # sizes of a super-voxel between two faces, at most
FLAT = 0.85  # largest eigenvalue of the mean normal tensor of a face; 1 is a plane
PARALLEL = 0.95  # cosine between two faces of one plane
IN_PLANE = 2.0  # voxels that either face may lie off the other's plane
WIDEST = 0.95  # quantile of the faces' radii that is looked for around each
SHARE = 0.2  # of each cluster that must go on in the other one
STEPS = (0.2, 0.35, 0.5, 0.65, 0.8)  # places between two faces that are looked at
HIDDEN = 2  # of them that something nearer hides
DEPTH = 2.0  # voxels that it is nearer


def join_hidden(
    prepared: Prepared, center: F64, size: F64, atoms: I64, cluster: I64, touching: I64
) -> I64:
    """Join clusters that are parted by what stands before them.

    Does nothing for a cloud that is no view from the origin of its frame, as a fused scan: there
    gaps are seen from other sides.

    Args:
        prepared: a cloud of M super-voxels.
        center: float64 [M, 3], their middles; size: float64 [M], their voxels.
        atoms: int64 [A], super-voxels of things; cluster: int64 [A], 0..K - 1.
        touching: int64 [E, 2], pairs of super-voxels that touch; theirs are clusters that somebody
            kept apart, and they stay so.

    Returns:
        int64 [A], 0..J - 1 with J ≤ K.
    """
    count = int(cluster.max()) + 1
    one, two = _faces_of_one_plane(prepared, center[atoms], size[atoms], atoms, cluster)
    of = np.full(prepared.n_supervoxels, -1, np.int64)
    of[atoms] = cluster
    kept_apart = _key(of[touching[:, 0]], of[touching[:, 1]], count)
    apart = ~np.isin(_key(of[one], of[two], count), kept_apart)
    one, two = one[apart], two[apart]
    if len(one) == 0:
        return cluster
    view = View.of(prepared)
    if view is None:
        return cluster
    hidden = _hidden(view, center[one], center[two])
    links = _going_on(size, of, one[hidden], two[hidden], count)
    _, joined = connected_components(links, directed=False)
    result: I64 = joined[cluster].astype(np.int64)
    return result


def _key(one: I64, two: I64, count: int) -> I64:
    key: I64 = np.minimum(one, two) * count + np.maximum(one, two)
    return key


def _faces_of_one_plane(
    prepared: Prepared, center: F64, size: F64, atoms: I64, cluster: I64
) -> tuple[I64, I64]:
    """Pairs of flat atoms of different clusters that lie near each other in one plane; center and
    size are those of the atoms."""
    tensor = pool_normals(prepared.normal, prepared.supervoxel, prepared.n_supervoxels)[atoms]
    value, axis = np.linalg.eigh(tensor)
    flat, normal = np.flatnonzero(value[:, 2] > FLAT), axis[:, :, 2]
    if len(flat) < 2:
        return atoms[:0], atoms[:0]
    voxel_size, gap = prepared.settings.voxel_size, GAP * prepared.settings.supervoxel_size
    radius = voxel_size * np.sqrt(size / np.pi)  # of a disc as large
    reach = gap + 2 * np.quantile(radius[flat], WIDEST)
    pairs = flat[cKDTree(center[flat]).query_pairs(reach, output_type="ndarray")]
    one, two = pairs[cluster[pairs[:, 0]] != cluster[pairs[:, 1]]].T
    way, off = center[two] - center[one], IN_PLANE * voxel_size
    good = np.linalg.norm(way, axis=1) - radius[one] - radius[two] < gap
    good &= np.abs((normal[one] * normal[two]).sum(axis=1)) > PARALLEL
    for side in (one, two):
        good &= np.abs((way * normal[side]).sum(axis=1)) < off
    return atoms[one[good]], atoms[two[good]]


def _hidden(view: View, one: F64, two: F64) -> NDArray[np.bool_]:
    """Whether between places float [E, 3] there is a gap that something nearer hides, and nothing
    was seen through it: bool [E]."""
    before = np.zeros(len(one), np.int64)
    through = np.zeros(len(one), bool)
    for step in STEPS:
        nearest, far = view.nearest(one + step * (two - one))
        before += nearest < far - DEPTH * view.voxel_size
        through |= np.isfinite(nearest) & (nearest > far + DEPTH * view.voxel_size)
    hides: NDArray[np.bool_] = (before >= HIDDEN) & ~through
    return hides


def _going_on(size: F64, of: I64, one: I64, two: I64, count: int) -> csr_matrix:
    """Which clusters go on in each other with a SHARE of themselves: bool [K, K]."""
    whole = np.bincount(of[of >= 0], size[of >= 0], count)
    both_ways = [np.column_stack([one, of[two]]), np.column_stack([two, of[one]])]
    face, other = np.unique(np.concatenate(both_ways), axis=0).T  # each face counts once
    shape = (count, count)
    share = coo_matrix((size[face] / whole[of[face]], (of[face], other)), shape=shape).tocsr()
    goes_on: csr_matrix = (share >= SHARE).multiply((share >= SHARE).T)
    return goes_on
