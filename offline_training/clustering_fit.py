"""What keeps the objects of a site apart, chosen on the scenes that were clicked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offline_training.evaluation import InstanceScore, PredictedObjects
from offline_training.labels import grow_objects
from offline_training.scenes import TrainingScene, load_scene, voxel_truth
from offline_training.self_training import finished_rounds, round_folder, training_settings
from otoc_ros.core.clustering import ClusteringSettings, Instance, cluster_instances
from otoc_ros.core.growth import touching
from otoc_ros.perception import Perception, Understanding
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site

I32 = NDArray[np.int32]

STANDING = (0.0, 2.0, 3.0)  # 4 was never best on views that were held back
COLOUR = (0.0, 1.0)
NEARLY = 0.02  # of AP + AP50
MOST = 32  # scenes
MIN_REGION = 20  # voxels; smaller objects tell nothing


class GrownObjects(NamedTuple):
    """Objects that the clicks of a scene grew to, on its voxels: class and number, int32 [V]; -1
    and 0 where nobody knows."""

    semantic: I32
    instance: I32


def fit_to_site(perception: Perception, site: Site) -> ClusteringSettings:
    """The clustering settings that suit the clicked scenes of a trained site, of at most MOST
    scenes of split train; under full labels, those that suit the truth."""
    full = training_settings(site).labels == "full"
    last = round_folder(site, finished_rounds(site) - 1) / "labels.npz"
    seen: list[tuple[Understanding, GrownObjects]] = []
    scenes = [scene for scene in site.scenes(split="train") if full or scene.clicks()]
    every = -(-len(scenes) // MOST)  # neighbours in a row are often views of one set-up
    with np.load(last, allow_pickle=False) as labels:
        for scene in scenes[::every]:
            label = None if full else labels[f"{scene.name}/label"]
            grown, up = _taught(scene, perception, label)
            seen.append((perception.understand(scene.cloud(), up), grown))
    return fit_clustering(seen, perception.thing, perception.clustering)


def _taught(
    scene: Scene, perception: Perception, label: I32 | None
) -> tuple[GrownObjects, NDArray[np.float64]]:
    """The objects of a scene by its super-voxels' labels, by its truth without; its up."""
    loaded = load_scene(scene, perception.preprocessing)
    up = loaded.prepared.rotation[2]
    if label is not None:
        return grown_objects(loaded, label, perception.thing), up
    truth = voxel_truth(scene, loaded.prepared)
    return GrownObjects(truth.semantic, truth.instance), up


def fit_clustering(
    scenes: Sequence[tuple[Understanding, GrownObjects]],
    thing: NDArray[np.bool_],
    settings: ClusteringSettings,
) -> ClusteringSettings:
    """The weights of what is seen at a border that find the grown objects best, by AP and AP50.

    The offsets were trained on these very scenes, where they tell objects apart better than they
    will elsewhere. Therefore their weight is not among what is chosen, and of settings that are
    nearly as good here, the one wins that asks creases most, and colour least. Without objects
    nothing changes.
    """
    classes = np.flatnonzero(thing).tolist()
    found: list[tuple[float, ClusteringSettings]] = []
    for standing, colour in product(STANDING, COLOUR):
        candidate = settings.model_copy(
            update={"standing_weight": standing, "colour_weight": colour}
        )
        score = InstanceScore(classes, MIN_REGION)
        for (prepared, offset, belief), grown in scenes:
            instance, objects = cluster_instances(prepared, offset, belief, thing, candidate)
            score.add(grown.semantic, grown.instance, as_predicted(instance, objects))
        summary = score.summary()
        value = summary["ap"] + summary["ap50"]
        if np.isfinite(value):  # there are objects to find
            found.append((value, candidate))
    if not found:
        return settings
    most = max(value for value, _ in found)
    good = [candidate for value, candidate in found if value >= most - NEARLY]
    return max(good, key=lambda each: (each.standing_weight, -each.colour_weight))


def grown_objects(scene: TrainingScene, label: I32, thing: NDArray[np.bool_]) -> GrownObjects:
    """The objects of a scene as its clicks and the labels of its super-voxels, int32 [M], say."""
    owner = grow_objects(scene, label, touching(scene.prepared))
    number = np.array([mark.object for mark in scene.marks] + [0], np.int32)
    instance = number[owner]  # owner -1 picks the last entry
    known = (label >= 0) & (~thing[label] | (instance > 0))
    ids = scene.prepared.supervoxel
    return GrownObjects(
        np.where(known, label, -1).astype(np.int32)[ids],
        np.where(known & thing[label], instance, 0).astype(np.int32)[ids],
    )


def as_predicted(instance: I32, found: Sequence[Instance]) -> PredictedObjects:
    """Clusters as the score wants them."""
    return PredictedObjects(
        instance,
        np.array([each.class_id for each in found], np.int32),
        np.array([each.score for each in found], np.float64),
    )
