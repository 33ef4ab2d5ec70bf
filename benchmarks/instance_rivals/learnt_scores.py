"""Which score ranks objects best: the live one or what ScoreNet learns, on the same clusters."""

from dataclasses import dataclass

import numpy as np
from instance_rivals import dual_set, score_net

from offline_training.evaluation import InstanceScore, PredictedObjects
from offline_training.scenes import voxel_truth
from otoc_ros.core.clustering import Instance, cluster_instances
from otoc_ros.perception import Perception, Understanding
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

UP = np.array([0.0, 0.0, 1.0])
LESSON_LIMITS = (1.0, 2.5, 5.0)  # of `max_difference`: parts, objects and heaps of objects


@dataclass(frozen=True, eq=False)
class Seen:
    """Objects found in a scene whatever their score, and the same as ScoreNet sees them."""

    truth: Truth
    understood: Understanding
    found: list[Instance]
    clusters: list[score_net.Cluster]


def compare(perception: Perception, site: Site, seeds: list[int]) -> dict[str, list[dict]]:
    """AP on scenes of split dev under each score; ScoreNet learns on those of split train.

    Returns:
        One summary a seed of: the live score; the mean probability of the class, which is
        PointGroup's without ScoreNet; ScoreNet; the geometric mean of ScoreNet and the live score.
    """
    lessons = [
        cluster
        for scene in site.scenes(split="train")
        for limit in LESSON_LIMITS
        for cluster in look(perception, scene, limit).clusters
    ]
    limit = perception.clustering.max_difference
    dev = [look(perception, scene, limit) for scene in site.scenes(split="dev")]
    things = np.flatnonzero(perception.thing).tolist()
    rows: dict[str, list[dict]] = {}
    for seed in seeds:
        net = score_net.train_score_net(lessons, seed)
        total: dict[str, InstanceScore] = {}
        for seen in dev:
            live = np.array([each.score for each in seen.found])
            learnt = score_net.scores(net, seen.clusters)
            values = {"live": live, "mean_probability": mean_probability(seen)}
            values |= {"score_net": learnt, "both": np.sqrt(live * learnt)}
            for name, score in values.items():
                objects = total.setdefault(name, InstanceScore(things))
                objects.add(seen.truth.semantic, seen.truth.instance, rescored(seen, score))
        for name, objects in total.items():
            rows.setdefault(name, []).append(objects.summary())
    return rows


def look(perception: Perception, scene: Scene, limit: float) -> Seen:
    """Cluster a scene with `max_difference` at some limit."""
    cloud = scene.cloud()
    understood = perception.understand(cloud, UP)
    prepared = understood.prepared
    settings = perception.clustering.model_copy(update={"max_difference": limit, "min_score": 0.0})
    _, found = cluster_instances(
        prepared,
        understood.offset,
        understood.belief,
        perception.thing,
        settings,
        understood.parting,
    )
    point = np.empty(len(prepared.xyz), np.int64)  # one point stands for its voxel
    known = prepared.voxel_of_point >= 0
    point[prepared.voxel_of_point[known]] = np.flatnonzero(known)
    feature = perception.features(cloud, UP)[point]
    truth = voxel_truth(scene, prepared)
    is_thing = (truth.semantic >= 0) & perception.thing[truth.semantic]
    true = np.where(is_thing, truth.instance, 0)
    clusters = score_net.as_clusters(prepared.grid.coords, feature, found, true)
    return Seen(scene.truth(), understood, found, clusters)


def mean_probability(seen: Seen) -> np.ndarray:
    """Of each object's class over its voxels."""
    of_voxel = seen.understood.belief[seen.understood.prepared.supervoxel]
    return np.array([of_voxel[each.voxels, each.class_id].mean() for each in seen.found])


def rescored(seen: Seen, score: np.ndarray) -> PredictedObjects:
    """The objects above the published threshold of a score, on points."""
    kept = np.flatnonzero(score > dual_set.MIN_SCORE)
    instance = np.zeros(len(seen.understood.prepared.xyz), np.int32)
    for number, row in enumerate(kept, 1):
        instance[seen.found[row].voxels] = number
    class_id = np.array([seen.found[row].class_id for row in kept], np.int32)
    points = seen.understood.prepared.to_points(instance, fill=0)
    return PredictedObjects(points, class_id, score[kept])
