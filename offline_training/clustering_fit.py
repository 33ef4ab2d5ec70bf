"""How much keeps the objects of a site apart, chosen on the scenes that were clicked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offline_training.evaluation import InstanceScore, PredictedObjects
from offline_training.scenes import voxel_truth
from offline_training.self_training import finished_rounds, round_folder, training_settings
from otoc_ros.core.clustering import ClusteringSettings, Instance, cluster_instances
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import Prepared
from otoc_ros.perception import Perception, Understanding
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site

I32 = NDArray[np.int32]

STANDING = (0.0, 2.0, 3.0)  # 4 was never best on views that were held back
COLOUR = (0.0, 1.0)
NEARLY = 0.02  # of AP + AP50
MOST = 32  # scenes
MIN_REGION = 20  # voxels; smaller objects tell nothing


class LabelledObjects(NamedTuple):
    """What the last round left of a scene's voxels: class and object, int32 [V]; -1 and 0 where
    nobody knows."""

    semantic: I32
    instance: I32


LabelledScene = tuple[Understanding, LabelledObjects]


def labelled_scenes(perception: Perception, site: Site) -> list[LabelledScene]:
    """The clicked scenes of a trained site, at most MOST of split train, as a bundle of it
    understands them, beside the objects that the last round left; under full labels, the true ones.

    Raises:
        InputError: the training is of an earlier version.
    """
    full = training_settings(site).labels == "full"
    last = round_folder(site, finished_rounds(site) - 1) / "labels.npz"
    found: list[LabelledScene] = []
    with np.load(last, allow_pickle=False) as labels:
        scenes = [
            scene
            for scene in site.scenes(split="train")
            # Scenes that came after the training wait for the next one.
            if f"{scene.name}/label" in labels and (full or scene.clicks())
        ]
        every = max(1, -(-len(scenes) // MOST))  # neighbours are often views of one set-up
        for scene in scenes[::every]:
            up = None if scene.meta.up is None else np.array(scene.meta.up)
            understood = perception.understand(scene.cloud(), up)
            prepared = understood.prepared
            if full:
                truth = voxel_truth(scene, prepared)
                labelled = of_things(truth.semantic, truth.instance, perception.thing)
            else:
                labelled = labelled_objects(prepared, *_left(labels, scene), perception.thing)
            found.append((understood, labelled))
    return found


def _left(labels: Mapping[str, I32], scene: Scene) -> tuple[I32, I32]:
    """Labels and object numbers of a scene's super-voxels after the last round."""
    try:
        return labels[f"{scene.name}/label"], labels[f"{scene.name}/object"]
    except KeyError as error:
        raise InputError(
            f"{scene.path} was not trained on with this version; run `otoc train` again"
        ) from error


def fit_clustering(
    scenes: Sequence[LabelledScene],
    thing: NDArray[np.bool_],
    settings: ClusteringSettings,
) -> ClusteringSettings:
    """The weights of what is seen at a border that find the labelled objects best, by AP and AP50.

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
        for (prepared, offset, belief, parting), labelled in scenes:
            instance, objects = cluster_instances(
                prepared, offset, belief, thing, candidate, parting
            )
            score.add(labelled.semantic, labelled.instance, as_predicted(instance, objects))
        summary = score.summary()
        value = summary["ap"] + summary["ap50"]
        if np.isfinite(value):  # there are objects to find
            found.append((value, candidate))
    if not found:
        return settings
    most = max(value for value, _ in found)
    good = [candidate for value, candidate in found if value >= most - NEARLY]
    return max(good, key=lambda each: (each.standing_weight, -each.colour_weight))


def labelled_objects(
    prepared: Prepared, label: I32, number: I32, thing: NDArray[np.bool_]
) -> LabelledObjects:
    """Labels and object numbers of super-voxels, int32 [M], on their voxels; a thing that is no
    click's object is unknown."""
    known = (label >= 0) & (~thing[label] | (number > 0))
    groups = prepared.supervoxel
    return of_things(np.where(known, label, -1)[groups], number[groups], thing)


def of_things(semantic: I32, instance: I32, thing: NDArray[np.bool_]) -> LabelledObjects:
    """Classes and objects of voxels, int32 [V]; stuff is no object."""
    is_thing = (semantic >= 0) & thing[semantic]
    return LabelledObjects(
        semantic.astype(np.int32), np.where(is_thing, instance, 0).astype(np.int32)
    )


def as_predicted(instance: I32, found: Sequence[Instance]) -> PredictedObjects:
    """Clusters as the score wants them."""
    return PredictedObjects(
        instance,
        np.array([each.class_id for each in found], np.int32),
        np.array([each.score for each in found], np.float64),
    )
