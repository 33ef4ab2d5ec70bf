"""What one click teaches: embeddings of the clicked object, and how like them is like enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.supervoxels import pool
from otoc_ros.perception.bank import Lesson, likeness
from otoc_ros.perception.pipeline import LabelledCloud, SeenCloud
from otoc_ros.perception.place import place_of
from otoc_ros.site.classes import ClassInfo

# Chosen on dev rooms, see benchmarks/new_class.py.
SAME_OBJECT = 0.5  # likeness to the clicked super-voxel of others that belong to its object
ALLOWED = 0.005  # share of the view outside the object that may be taken for it
LOWEST, HIGHEST = 0.85, 0.97  # threshold


def learn(
    seen: SeenCloud,
    labelled: LabelledCloud,
    row: int,
    click: str,
    scene: str,
    info: ClassInfo,
    pose: NDArray[np.float64] | None = None,
) -> Lesson:
    """The lesson of a click on point `row` of a cloud.

    The clicked super-voxel stands for its object together with those of the same predicted object
    that are like it. What a person sees and does not click is something else: the threshold is so
    high that next to nothing of the rest of the view passes it.

    Args:
        seen, labelled: the cloud as it was shown.
        click, scene: see `Lesson`. info: the class that was clicked.
        pose: float64 [4, 4], into a frame that does not move with the sensor, where one is known.
    """
    clicked = int(seen.prepared.supervoxel[seen.prepared.voxel_of_point[row]])
    in_object = _in_object(seen, labelled, row)
    to_clicked = _likeness(seen, np.array([clicked]))[:, 0]
    in_object[clicked], to_clicked[clicked] = True, 1.0
    taken = np.flatnonzero(in_object & (to_clicked >= SAME_OBJECT))
    rest = np.sort(_likeness(seen, taken).max(axis=1)[~in_object])
    threshold = LOWEST
    if len(rest):
        threshold = float(np.clip(np.quantile(rest, 1 - ALLOWED), LOWEST, HIGHEST))
    place = None
    if pose is not None:
        is_surface = info.kind == "stuff"
        place = place_of(seen.prepared, seen.feature, seen.colour, clicked, is_surface, pose)
    embedding, colour = seen.embedding[taken], seen.colour[taken]
    return Lesson(click, scene, info.name, embedding, colour, threshold, place)


def _in_object(seen: SeenCloud, labelled: LabelledCloud, row: int) -> NDArray[np.bool_]:
    """Super-voxels that mostly belong to the predicted object at a point: bool [M]."""
    number = labelled.instance[row]
    if number == 0:
        return np.zeros(seen.prepared.n_supervoxels, bool)
    points = np.flatnonzero(labelled.supervoxel >= 0)
    mine = (labelled.instance[points] == number).astype(np.float32)[:, None]
    share = pool(mine, labelled.supervoxel[points], seen.prepared.n_supervoxels)
    return share[:, 0] > 0.5


def _likeness(seen: SeenCloud, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """Likeness of every super-voxel of a cloud to some of them: float32 [M, k]."""
    similarity = seen.embedding @ seen.embedding[rows].T
    return likeness(similarity, seen.colour, seen.colour[rows])
