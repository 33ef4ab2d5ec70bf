"""What few clicks reach, by costs that were set by hand.

The model was learnt in scenes of many clicks, and knows less of a table with four of them than
these costs do (first labels of the tabletop's training views: mIoU 0.982, the model 0.953).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from offline_training.labels import grow_objects, object_paths
from offline_training.reach.behind import surfaces_behind
from offline_training.reach.clicked import symmetric
from offline_training.scenes import Mark, TrainingScene
from otoc_ros.core.label_graph import BORDER
from otoc_ros.core.look import LEVEL, Look
from otoc_ros.core.propagation import log_softmax
from otoc_ros.core.scene_colours import STRANGE, SceneColours

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Chosen on rooms of train and dev furniture that no result stands on.
PATH_POWER = 3  # a path costs (Σ step³)^⅓, about its highest step: a border, not its length, parts
STEP_A_METRE = 0.2  # what things cost beside their path: they end, while walls go on
SPILL = 0.03  # for things, each time that what is as near as this is e times as large …
OBJECT = 5.0  # … from this area, in squares of a super-voxel's size
LEAK = 3.0  # times the usual area of a class, from which an object leaked; it is then held …
AMPLE = 1.5  # … to this times it, for
LEAKED = 0.1  # a cost each time that it is e times as large
BACKED = 0.4  # for a thing to go on where less is behind it than where it was clicked
STUFF_JUMP = 0.3  # stuff also goes on where no path leads, behind corners and furniture
TURNED_STUFF = 0.3  # a wall stays upright and a floor level; times the change of normal_z²
LIFTED = 0.6  # for what is level to go on at a super-voxel's size above or below its click
BOUNDING = 0.5  # for stuff with all that is near behind it: stuff bounds the place
REACH_SCALE = 0.1  # cost that divides a class's odds by e
AT_ONCE = 16  # clicks whose paths are found together
LONGEST_REACH = 15.0  # in REACH_SCALE; no class is impossible, clicked in the scene or not
# What is known of a scene's classes from the super-voxels that they reach first:
ROUNDS = 2  # of looking at what they reach, and reaching again
NEIGHBOURS = 5.0  # weight of the super-voxels that touch one, where no border is between them
STEPS = 3  # mean-field steps
ISLAND = 4.0  # log-probability that a thing loses where no click of it is joined to it …
APART = 1.2  # super-voxel sizes between two that may still be joined: thin parts have gaps
ISLAND_ROUNDS = 3  # … and what is there next best may have to lose it, too


def reach_by_hand(scene: TrainingScene, thing: NDArray[np.bool_], ample: F64 | None = None) -> F32:
    """How hard it is to get from each super-voxel to the nearest click of each class.

    A path over touching super-voxels is cheap inside an object and dear across a border of colour
    or a crease. Where every object has its click this tells much before any network is trained.
    What is reached first tells which colours each class has in this scene, and super-voxels with no
    border between them belong together. Uses clicks alone.

    Args:
        thing: bool [C].
        ample: float64 [marks], m², from `ample_areas`: what each mark's object is held to.

    Returns:
        float32 [M, C], log-probabilities over classes.
    """
    if ample is None:
        ample = np.full(len(scene.marks), np.inf)
    look = Look.of(scene.prepared, scene.sensors)
    pairs = scene.prepared.borders.pairs
    step = look.step(*pairs.T)
    paths = symmetric(pairs, step**PATH_POWER + 1e-9, len(look.center))
    alike = symmetric(pairs, NEIGHBOURS * np.exp(-step / BORDER), len(look.center))
    behind = surfaces_behind(scene.prepared, look)
    cost, clicked = _cost_of_classes(scene.marks, look, behind, paths, thing, ample)
    log_belief = _with_colours((-cost / REACH_SCALE).astype(np.float32), clicked, look, alike)
    return _without_islands(log_belief, scene.marks, look, pairs, thing)


def object_areas(scene: TrainingScene, log_reach: F32) -> F64:
    """Area that each mark's object grew to: float64 [marks], m²; zero for what is excluded."""
    label = log_reach.argmax(axis=1).astype(np.int32)
    owner = grow_objects(scene, label, object_paths(scene))
    voxels = np.bincount(scene.prepared.supervoxel, minlength=len(label))
    rows = owner[owner >= 0]
    grown = np.bincount(rows, voxels[owner >= 0], minlength=len(scene.marks))
    return np.asarray(grown * scene.prepared.settings.voxel_size**2, np.float64)


def ample_areas(marks: Sequence[Mark], area: F64, usual: F64) -> F64:
    """What a scene's objects are held to where they leaked into what is behind, and are LEAK times
    as large as usual: float64 [marks], m², inf where nothing leaked.

    Args:
        area: float64 [marks], from `object_areas`; usual: float64 [C], from `usual_areas`.
    """
    wanted = usual[[mark.class_id for mark in marks]]
    return np.where(area > LEAK * wanted, AMPLE * wanted, np.inf)  # NaN: nothing leaks


def _cost_of_classes(
    marks: Sequence[Mark],
    look: Look,
    behind: F32,
    paths: csr_matrix,
    thing: NDArray[np.bool_],
    ample: F64,
) -> tuple[F64, NDArray[np.bool_]]:
    """Lowest cost from a click of each class, float64 [M, C], and which classes have one."""
    cost = np.full((len(look.center), len(thing)), LONGEST_REACH * REACH_SCALE)
    clicked = np.zeros(len(thing), bool)
    for row, path in _paths_from(marks, paths):
        place, name = marks[row].supervoxel, marks[row].class_id
        if thing[name]:
            found = _thing_cost(place, path, look, behind, ample[row])
        else:
            found = _stuff_cost(place, path, look, behind)
        cost[:, name] = np.minimum(cost[:, name], found)
        clicked[name] = True
    return cost, clicked


def _paths_from(marks: Sequence[Mark], paths: csr_matrix) -> Iterator[tuple[int, F64]]:
    """Rows of the marks that say what is there, each with the cost from it to every super-voxel:
    float64 [M], inf without a path."""
    rows = [row for row, mark in enumerate(marks) if mark.names]
    for begin in range(0, len(rows), AT_ONCE):  # bounds the memory of all their costs
        some = rows[begin : begin + AT_ONCE]
        costs = dijkstra(paths, indices=[marks[row].supervoxel for row in some])
        yield from zip(some, costs ** (1 / PATH_POWER), strict=True)


def _thing_cost(clicked: int, path: F64, look: Look, behind: F32, ample: float) -> F64:
    """Things end: they are small, and what they stand on or hang on is behind them.

    Where a path leaves a picture for its wall, all of the wall is as near at once, and pays for it:
    more where it is known that pictures are not that large.
    """
    away = np.linalg.norm(look.center - look.center[clicked], axis=1)
    order = np.argsort(path, kind="stable")
    area = np.empty(len(path))
    area[order] = np.cumsum(look.area[order])
    spilt = SPILL * np.maximum(np.log(area / (OBJECT * look.size**2)), 0)
    if np.isfinite(ample):
        spilt += LEAKED * np.maximum(np.log(area / ample), 0)
    less = np.maximum(behind[clicked] - behind, 0)
    return np.asarray(path + STEP_A_METRE * away + spilt + BACKED * less, np.float64)


def _stuff_cost(clicked: int, path: F64, look: Look, behind: F32) -> F64:
    """Stuff bounds the place and goes on behind what stands before it, in one direction."""
    cost = np.minimum(path, STUFF_JUMP + look.unlike_colour(slice(None), clicked))
    upright = look.direction[:, 2]
    cost += TURNED_STUFF * np.abs(upright - upright[clicked]) + BOUNDING * behind
    if abs(look.facing[clicked, 2]) > LEVEL:
        lifted = np.abs(look.center[:, 2] - look.center[clicked, 2]) / look.size
        cost += LIFTED * np.minimum(lifted, 1)
    return cost


def _with_colours(log_reach: F32, clicked: NDArray[np.bool_], look: Look, alike: csr_matrix) -> F32:
    """Reach times how likely the colour is for the class, among neighbours: float32 [M, C]."""
    colours = SceneColours(look)
    log_belief = log_softmax(log_reach)
    for _ in range(ROUNDS):
        # Of a class that nobody clicked here, nobody knows the colours.
        likely = np.where(clicked, colours.log_likelihood(np.exp(log_belief)), np.log(STRANGE))
        log_unary = log_reach + likely.astype(np.float32)
        log_belief = log_softmax(log_unary)
        for _ in range(STEPS):
            log_belief = log_softmax(log_unary + alike @ np.exp(log_belief))
    return log_belief


def _without_islands(
    log_belief: F32,
    marks: Sequence[Mark],
    look: Look,
    pairs: NDArray[np.int64],
    thing: NDArray[np.bool_],
) -> F32:
    """Things hang together: what no path within its class joins to a click of it is less likely of
    that class. float32 [M, C], log-probabilities."""
    close = cKDTree(look.center).query_pairs(APART * look.size, output_type="ndarray")
    one, other = np.concatenate([pairs, close]).T
    said = [mark for mark in marks if mark.names]
    lost = np.zeros(log_belief.shape, np.float32)
    for _ in range(ISLAND_ROUNDS):
        label = (log_belief - lost).argmax(axis=1)
        same = label[one] == label[other]
        within = coo_matrix((same[same], (one[same], other[same])), shape=(len(label),) * 2)
        _, piece = connected_components(within, directed=False)
        clicked = [m.supervoxel for m in said if label[m.supervoxel] == m.class_id]
        island = thing[label] & ~np.isin(piece, piece[clicked])
        lost[island, label[island]] = ISLAND
    return log_softmax(log_belief - lost)
