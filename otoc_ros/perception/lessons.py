"""What one click teaches: embeddings of the clicked object, and how like them is like enough."""

from __future__ import annotations

import numpy as np

from otoc_ros.perception.bank import Lesson
from otoc_ros.perception.pipeline import LabelledCloud, SeenCloud


def learn(
    seen: SeenCloud, labelled: LabelledCloud, row: int, click: str, scene: str, class_name: str
) -> Lesson:
    """The lesson of a click on point `row` of a cloud.

    Args:
        seen, labelled: the cloud as it was shown.
        click, scene, class_name: see `Lesson`.
    """
    prepared = seen.prepared
    clicked = prepared.supervoxel[prepared.voxel_of_point[row]]
    embedding = seen.embedding[[clicked]]
    similarity = seen.embedding @ embedding[0]
    others = np.arange(len(similarity)) != clicked
    threshold = float(np.quantile(similarity[others], 0.98)) if others.any() else 0.9
    return Lesson(click, scene, class_name, embedding, threshold)
