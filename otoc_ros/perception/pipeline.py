"""The whole live pipeline: one cloud in, classes and objects for its points out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from otoc_ros.core.boxes import Box, upright_box
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.clustering import ClusteringSettings, Instance, cluster_instances
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.propagation import (
    PropagationSettings,
    affinities,
    affinity_terms,
    log_softmax,
    neighbour_graph,
)
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


class Understanding(NamedTuple):
    """What the networks make of a cloud of V voxels in M super-voxels.

    Attributes:
        prepared: the cloud as they see it.
        offset: float32 [V, 3], metres, from a voxel toward the centre of its object.
        belief: float32 [M, C], class probabilities after propagation.
    """

    prepared: Prepared
    offset: F32
    belief: F32


class Perception:
    """Labels clouds with the networks of a bundle. Pure: the same cloud gives the same labels.

    Args:
        bundle: folder of an exported bundle.
        providers: onnxruntime's execution providers, the preferred one first.
        threads: cores that one call may use.
        prefer_native: on the CPU, let the C++ kernel run the sparse networks where it was built.

    Raises:
        InputError: the bundle is missing, damaged, swapped or from a newer version.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int = 2,
        prefer_native: bool = True,
    ) -> None:
        opened = open_bundle(bundle)
        self.info = opened.info
        try:
            self.preprocessing = Preprocessing.model_validate(opened.info.preprocessing)
            self.propagation = PropagationSettings.model_validate(opened.info.propagation)
            self.clustering = ClusteringSettings.model_validate(opened.info.clustering)
        except ValidationError as error:
            known = error.errors()[0]
            raise InputError(
                f"bundle {bundle}: {known['msg']} ({'.'.join(map(str, known['loc']))}, "
                f"{error.title}); it is of another version of otoc_ros: export it again"
            ) from error
        self.thing = np.array([known.kind == "thing" for known in opened.info.classes])
        self._unet = Network(opened, "unet.onnx", providers, threads, prefer_native)
        self.runner = self._unet.runner
        # A few thousand rows: the way to an accelerator and back would cost more than it saves.
        self._relation = Network(opened, "relation.onnx", ["CPUExecutionProvider"], threads)
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
        prepared, offset, belief = self.understand(cloud, up, clock)
        instance, found = cluster_instances(prepared, offset, belief, self.thing, self.clustering)
        clock.lap("instances")
        best = belief.argmax(axis=1).astype(np.int32)[prepared.supervoxel]
        for thing in found:  # its parts settle their class together
            best[thing.voxels] = thing.class_id
        return LabelledCloud(
            class_id=prepared.to_points(best, fill=-1),
            instance=prepared.to_points(instance, fill=0),
            confidence=prepared.to_points(belief[prepared.supervoxel, best], fill=0),
            supervoxel=prepared.to_points(prepared.supervoxel, fill=-1),
            objects=[_detected(row, thing, prepared) for row, thing in enumerate(found)],
            milliseconds=clock.finish("labels"),
        )

    def understand(
        self,
        cloud: Cloud,
        up: NDArray[np.float64] | None = None,
        clock: _StageClock | None = None,
    ) -> Understanding:
        """All but the clustering; arguments and errors as of a call."""
        clock = clock or _StageClock()
        prepared = preprocess(cloud, self.preprocessing, up)
        clock.lap("preprocess")
        feeds: dict[str, Any] = {"features": prepared.features}
        if self._unet.maps is not None:
            feeds.update(self._unet.maps(prepared.grid.coords, self.info.levels))
        clock.lap("maps")
        seen = self._unet(feeds)
        clock.lap("unet")
        feature = pool(seen["feature"], prepared.supervoxel, prepared.n_supervoxels)
        embedding = self._embed(prepared, feature)
        clock.lap("relation")
        belief = self._propagate(prepared, seen["logits"], feature, embedding)
        clock.lap("propagation")
        return Understanding(prepared, seen["offset"], belief)

    def _embed(self, prepared: Prepared, feature: F32) -> F32:
        """Unit embeddings of super-voxels from their mean features [M, width]: float32 [M, d]."""
        given = pool(prepared.features, prepared.supervoxel, prepared.n_supervoxels)
        return self._relation({"described": np.concatenate([feature, given], axis=1)})["embedding"]

    def _propagate(self, prepared: Prepared, logits: F32, feature: F32, embedding: F32) -> F32:
        """Class probabilities of super-voxels: float32 [M, C]."""
        log_theta = pool(log_softmax(logits), prepared.supervoxel, prepared.n_supervoxels)
        terms = affinity_terms(prepared, feature, embedding, self.propagation)
        graph = neighbour_graph(terms[0][0], self.propagation.neighbours)
        answer = self._propagator(
            {
                "log_theta": log_theta,
                "embedding": embedding,
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
