"""The whole live pipeline: one cloud in, classes and objects for its points out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.boxes import Box, upright_box
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.clustering import ClusteringSettings, Instance, cluster_instances
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.propagation import (
    PropagationSettings,
    affinities,
    affinity_terms,
    log_softmax,
    neighbour_graph,
    unit_rows,
)
from otoc_ros.core.sparse_feeds import sparse_feeds
from otoc_ros.core.supervoxels import pool
from otoc_ros.perception.networks import Network
from otoc_ros.site.bundle import open_bundle

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class DetectedObject:
    """One object of a cloud.

    Attributes:
        id: value of `LabelledCloud.instance` on its points, 1 or more.
        class_id: row of the bundle's class table.
        score: 0..1.
        box: upright in gravity, in the frame of the input cloud.
    """

    id: int
    class_id: int
    score: float
    box: Box


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """Labels of the N points of a cloud, in their order.

    Attributes:
        class_id: int32 [N], -1 = unknown (a point without coordinates).
        instance: int32 [N], 0 = none.
        confidence: float32 [N], probability of the class.
        supervoxel: int32 [N], -1 = dropped.
        objects: best score first.
        milliseconds: time of each stage, by name.
    """

    class_id: I32
    instance: I32
    confidence: F32
    supervoxel: I32
    objects: list[DetectedObject]
    milliseconds: dict[str, float]


class Perception:
    """Labels clouds with the networks of a bundle. Pure: the same cloud gives the same labels.

    Args:
        bundle: folder of an exported bundle.
        providers: onnxruntime's execution providers, the preferred one first.
        threads: cores that one call may use.

    Raises:
        InputError: the bundle is missing, damaged, swapped or from a newer version.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 2,
    ) -> None:
        opened = open_bundle(bundle)
        self.info = opened.info
        self.preprocessing = Preprocessing.model_validate(opened.info.preprocessing)
        self.propagation = PropagationSettings.model_validate(opened.info.propagation)
        self.clustering = ClusteringSettings.model_validate(opened.info.clustering)
        self.thing = np.array([known.kind == "thing" for known in opened.info.classes])
        self._unet = Network(opened, "unet.onnx", providers, threads)
        self._relation = Network(opened, "relation.onnx", providers, threads)
        # A few thousand rows: the way to an accelerator and back would cost more than it saves.
        self._propagator = Network(opened, "propagator.onnx", ["CPUExecutionProvider"], threads)
        self.prototypes = np.array(
            json.loads(self._relation.metadata["otoc_prototypes"]), np.float32
        )

    def __call__(self, cloud: Cloud, up: NDArray[np.float64] | None = None) -> LabelledCloud:
        """Label a cloud.

        Args:
            up: float [3], direction that points up in the cloud's frame; None: estimated.

        Raises:
            InputError: the cloud has no finite point, or is too large for its voxel size.
        """
        clock = _StageClock()
        prepared = preprocess(cloud, self.preprocessing, up)
        clock.lap("preprocess")
        feeds: dict[str, NDArray[Any]] = {"features": prepared.features}
        feeds.update(sparse_feeds(prepared.grid.coords, self.info.levels))
        clock.lap("maps")
        seen = self._unet(feeds)
        clock.lap("unet")
        embedding = self._relation(feeds)["embedding"]
        clock.lap("relation")
        belief = self._propagate(prepared, seen["logits"], seen["feature"], embedding)
        clock.lap("propagation")
        instance, found = cluster_instances(
            prepared.xyz,
            seen["offset"],
            belief[prepared.supervoxel],
            self.thing,
            self.preprocessing.voxel_size,
            self.clustering,
        )
        clock.lap("instances")
        best = belief.argmax(axis=1).astype(np.int32)
        return LabelledCloud(
            class_id=prepared.to_points(best[prepared.supervoxel], fill=-1),
            instance=prepared.to_points(instance, fill=0),
            confidence=prepared.to_points(belief.max(axis=1)[prepared.supervoxel], fill=0),
            supervoxel=prepared.to_points(prepared.supervoxel, fill=-1),
            objects=[_detected(row, thing, prepared) for row, thing in enumerate(found)],
            milliseconds=clock.finish("labels"),
        )

    def features(self, cloud: Cloud, up: NDArray[np.float64] | None = None) -> F32:
        """What the U-Net sees at each point of a cloud, for comparing places without its classes.

        Args:
            up: as for a call.

        Returns:
            float32 [N, D], in no particular unit; zero for points without coordinates.

        Raises:
            InputError: as for a call.
        """
        prepared = preprocess(cloud, self.preprocessing, up)
        feeds: dict[str, NDArray[Any]] = {"features": prepared.features}
        feeds.update(sparse_feeds(prepared.grid.coords, self.info.levels))
        return prepared.to_points(self._unet(feeds)["feature"], fill=0)

    def _propagate(self, prepared: Prepared, logits: F32, feature: F32, embedding: F32) -> F32:
        """Class probabilities of super-voxels: float32 [M, C]."""

        def pooled(values: F32) -> F32:
            return pool(values, prepared.supervoxel, prepared.n_supervoxels)

        center = unit_rows(pooled(embedding))
        terms = affinity_terms(prepared, pooled(feature), center, self.propagation)
        graph = neighbour_graph(terms[0][0], self.propagation.neighbours)
        answer = self._propagator(
            {
                "log_theta": pooled(log_softmax(logits)),
                "embedding": center,
                "prototypes": self.prototypes,
                "neighbours": graph,
                "affinity": affinities(graph, *terms),
            }
        )
        return answer["probability"]


def _detected(row: int, found: Instance, prepared: Prepared) -> DetectedObject:
    aligned = upright_box(prepared.xyz[found.voxels])
    aligned = Box(aligned.center + prepared.grid.origin, aligned.rotation, aligned.extent)
    return DetectedObject(
        row + 1, found.class_id, found.score, aligned.rotated(prepared.rotation.T)
    )


class _StageClock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self._begin = self._last = perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self._laps[stage] = (now - self._last) * 1e3
        self._last = now

    def finish(self, stage: str) -> dict[str, float]:
        self.lap(stage)
        self._laps["total"] = (self._last - self._begin) * 1e3
        return self._laps
