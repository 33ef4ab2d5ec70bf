"""The whole live pipeline: one cloud in, classes and objects for its points out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import copy
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
from otoc_ros.core.confidence import ConfidenceSettings, strangeness, tempered
from otoc_ros.core.errors import InputError
from otoc_ros.core.label_graph import label_graph
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.propagation import PropagationSettings, log_softmax
from otoc_ros.core.scene_colours import with_scene_colours
from otoc_ros.core.seen_borders import describe_seen_borders
from otoc_ros.core.supervoxels import Pooling, pool
from otoc_ros.core.tiling import tiles
from otoc_ros.perception.bank import Bank
from otoc_ros.perception.networks import Answer, Network
from otoc_ros.perception.place import standing_at
from otoc_ros.site.bundle import open_bundle

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class DetectedObject:
    """One object of a cloud.

    Attributes:
        id: value of `LabelledCloud.instance` on its points, 1 or more.
        class_id: row of the bundle's class table.
        score: 0..1.
        box: upright in gravity, in the frame of the input cloud.
        low, high: float64 [3], metres, the corners of the box along the axes of that frame.
    """

    id: int
    class_id: int
    score: float
    box: Box
    low: F64
    high: F64


@dataclass(frozen=True, eq=False)
class SeenCloud:
    """What the networks see in a cloud: V voxels, M super-voxels. Labels follow in no time.

    Attributes:
        prepared: the cloud as voxels and super-voxels.
        log_theta: float32 [M, C], mean log-probability of the classes under the U-Net.
        log_scores: float32 [M, C], the same with the colours that the classes have in this cloud.
        feature: float32 [M, D], mean feature of the U-Net.
        embedding: float32 [M, d] of unit length, from the relation net.
        colour: float32 [M, 3], mean colour in 0..1; NaN without colour.
        offset: float32 [V, 3], metres, from each voxel toward the centre of its object.
        neighbours: int32 [M, K], the graph; K = 0 where a transformer propagates.
        affinity: float32 [M, K], of its edges.
        parting: float64 [E], of the pairs in `prepared.borders`: -log of the probability that one
            object has both; None of a bundle that does not tell.
        milliseconds: time of each stage, by name.
    """

    prepared: Prepared
    log_theta: F32
    log_scores: F32
    feature: F32
    embedding: F32
    colour: F32
    offset: F32
    neighbours: I32
    affinity: F32
    parting: F64
    milliseconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class LabelledCloud:
    """Labels of the N points of a cloud, in their order.

    Attributes:
        class_id: int32 [N], -1 = unknown (a point without coordinates, or too strange where that
            is asked for).
        instance: int32 [N], 0 = none.
        confidence: float32 [N], calibrated probability of the class.
        supervoxel: int32 [N], -1 = dropped.
        strangeness: float32 [N], 0..1, how unlike all that was learnt the point's super-voxel is.
        objects: best score first.
        milliseconds: time of each stage, by name.
    """

    class_id: I32
    instance: I32
    confidence: F32
    supervoxel: I32
    strangeness: F32
    objects: list[DetectedObject]
    milliseconds: dict[str, float]


class Understanding(NamedTuple):
    """What the networks make of a cloud of V voxels in M super-voxels.

    Attributes:
        prepared: the cloud as they see it.
        offset: float32 [V, 3], metres, from a voxel toward the centre of its object.
        belief: float32 [M, C], class probabilities after propagation.
        parting: float64 [E], as of a `SeenCloud`.
    """

    prepared: Prepared
    offset: F32
    belief: F32
    parting: F64 | None = None


def _nobody(stage: str) -> None:
    """Nobody wants to know how long a stage took."""


class Perception:
    """Labels clouds with the networks of a bundle. Pure: the same cloud gives the same labels.

    Args:
        bundle: folder of an exported bundle.
        providers: onnxruntime's execution providers, the preferred one first.
        threads: cores that one call may use.
        prefer_native: on the CPU, let the C++ kernel run the sparse networks where it was built.
        leave_unknown: give no class to what is stranger than the bundle's threshold.

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
        leave_unknown: bool = False,
    ) -> None:
        self.leave_unknown = leave_unknown
        opened = open_bundle(bundle)
        self.info = opened.info
        try:
            self.preprocessing = Preprocessing.model_validate(opened.info.preprocessing)
            self.propagation = PropagationSettings.model_validate(opened.info.propagation)
            self.clustering = ClusteringSettings.model_validate(opened.info.clustering)
            self.confidence = ConfidenceSettings.model_validate(opened.info.confidence)
        except ValidationError as error:
            known = error.errors()[0]
            raise InputError(
                f"bundle {bundle}: {known['msg']} ({'.'.join(map(str, known['loc']))}, "
                f"{error.title}); it is of another version of otoc_ros: export it again"
            ) from error
        self._unet = Network(opened, "unet.onnx", providers, threads, prefer_native)
        self.runner = self._unet.runner
        # A few thousand rows: the way to an accelerator and back would cost more than it saves.
        self._relation = Network(opened, "relation.onnx", ["CPUExecutionProvider"], threads)
        self._propagator = Network(opened, "propagator.onnx", ["CPUExecutionProvider"], threads)
        self._borders = Network(opened, "borders.onnx", ["CPUExecutionProvider"], threads)
        prototypes = json.loads(self._relation.metadata["otoc_prototypes"])
        self.untaught = Bank(opened.info.classes, np.array(prototypes, np.float32))
        self.thing = self.untaught.thing

    def __call__(self, cloud: Cloud, up: NDArray[np.float64] | None = None) -> LabelledCloud:
        """Label a cloud with the bundle's classes.

        Args:
            up: float [3], direction that points up in the cloud's frame; None: estimated.

        Raises:
            InputError: the cloud has no finite point, or is too large for its voxel size.
        """
        return self.label(self.see(cloud, up), self.untaught)

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
        parts = [(core, answer["feature"]) for core, answer in self._infer(prepared)]
        feature = np.empty((len(prepared.xyz), parts[0][1].shape[1]), np.float32)
        for rows, part in parts:
            feature[rows] = part
        return prepared.to_points(feature, fill=0)

    def _infer(
        self, prepared: Prepared, lap: Callable[[str], object] = _nobody
    ) -> Iterator[tuple[NDArray[np.int64], Answer]]:
        """What the U-Net says of all voxels, tile by tile: rows, and outputs of these rows."""
        for tile in tiles(prepared.grid.coords, self.info.levels):
            whole = len(tile.rows) == len(prepared.xyz)  # nothing is copied then
            shown = slice(None) if whole else tile.rows
            feeds: dict[str, Any] = {"features": prepared.features[shown]}
            if self._unet.maps is not None:
                feeds.update(self._unet.maps(prepared.grid.coords[shown], self.info.levels))
            lap("maps")
            answer = self._unet(feeds)
            if not tile.core.all():
                answer = {name: values[tile.core] for name, values in answer.items()}
            lap("unet")
            yield tile.rows[tile.core], answer

    def see(self, cloud: Cloud, up: NDArray[np.float64] | None = None) -> SeenCloud:
        """What the networks see in a cloud; arguments and errors as of a call."""
        clock = _StageClock()
        prepared = preprocess(cloud, self.preprocessing, up, clock.lap)

        def pooled(values: F32) -> F32:
            return pool(values, prepared.supervoxel, prepared.n_supervoxels)

        features, logs = Pooling(prepared.n_supervoxels), Pooling(prepared.n_supervoxels)
        offset = np.empty((len(prepared.xyz), 3), np.float32)
        for rows, answer in self._infer(prepared, clock.lap):
            ids = prepared.supervoxel[rows]
            features.add(answer["feature"], ids)
            logs.add(log_softmax(answer["logits"]), ids)
            offset[rows] = answer["offset"]
        feature = features.mean()
        described = np.concatenate([feature, pooled(prepared.features)], axis=1)
        embedding = self._relation({"described": described})["embedding"]
        clock.lap("relation")
        look = Look.of(prepared)
        graph, affinity = label_graph(prepared, look, feature, embedding, self.propagation)
        log_theta = logs.mean()
        log_scores = with_scene_colours(log_theta, look, self.propagation)
        colour: F32 = np.full((prepared.n_supervoxels, 3), np.nan, np.float32)
        if prepared.rgb is not None:
            colour = pooled(prepared.rgb)
        clock.lap("graph")
        parting = self._parting(prepared)
        clock.lap("borders")
        return SeenCloud(
            prepared,
            log_theta,
            log_scores,
            feature,
            embedding,
            colour,
            offset,
            graph,
            affinity,
            parting,
            clock.milliseconds,
        )

    def _parting(self, prepared: Prepared) -> F64:
        """-log of the probability that one object has both of a pair that touches, float64 [E]."""
        answer = self._borders({"described": describe_seen_borders(prepared)})
        score = answer["together"][:, 0].astype(np.float64)
        return np.logaddexp(0, -score)

    def uncalibrated(self) -> Perception:
        """The same networks, as sure as they are by themselves."""
        other = copy(self)
        other.confidence = self.confidence.model_copy(update={"temperature": 1.0})
        return other

    def understand(self, cloud: Cloud, up: NDArray[np.float64] | None = None) -> Understanding:
        """All but the clustering, with the bundle's classes; arguments and errors as of a call."""
        seen = self.see(cloud, up)
        belief, _ = self._believe(seen, self.untaught)
        return Understanding(seen.prepared, seen.offset, belief, seen.parting)

    def label(
        self, seen: SeenCloud, bank: Bank, pose: NDArray[np.float64] | None = None
    ) -> LabelledCloud:
        """Labels of a seen cloud under what a person has taught since the bundle was made.

        Args:
            bank: of this bundle's classes; `untaught` where nobody taught anything.
            pose: float64 [4, 4], T_common_cloud, of a frame that does not move with the sensor:
                what was clicked is found again where it stands; None: by its looks alone.
        """
        clock = _StageClock()
        prepared = seen.prepared
        belief, strange = self._believe(seen, bank, pose)
        clock.lap("propagation")
        instance, found = cluster_instances(
            prepared, seen.offset, belief, bank.thing, self.clustering, seen.parting
        )
        clock.lap("instances")
        best = belief.argmax(axis=1).astype(np.int32)[prepared.supervoxel]
        strange_voxel = strange[prepared.supervoxel]
        for thing in found:  # its parts settle their class together
            best[thing.voxels] = thing.class_id
            strange_voxel[thing.voxels] = strange_voxel[thing.voxels].mean()
        confidence = belief[prepared.supervoxel, best]
        if self.leave_unknown:
            unknown = strange_voxel > self.confidence.strange_above
            found = [thing for thing in found if not unknown[thing.voxels[0]]]
            best[unknown] = -1
            instance = np.zeros_like(instance)
            for row, thing in enumerate(found):
                instance[thing.voxels] = row + 1
        labelled = LabelledCloud(
            class_id=prepared.to_points(best, fill=-1),
            instance=prepared.to_points(instance, fill=0),
            confidence=prepared.to_points(confidence, fill=0),
            supervoxel=prepared.to_points(prepared.supervoxel, fill=-1),
            strangeness=prepared.to_points(strange_voxel, fill=1),
            objects=[_detected(row, thing, prepared) for row, thing in enumerate(found)],
            milliseconds=dict(seen.milliseconds),
        )
        clock.lap("labels")
        labelled.milliseconds.update(clock.milliseconds)
        labelled.milliseconds["total"] = sum(labelled.milliseconds.values())
        return labelled

    def _believe(
        self, seen: SeenCloud, bank: Bank, pose: NDArray[np.float64] | None = None
    ) -> tuple[F32, F32]:
        """Class probabilities of super-voxels, float32 [M, classes of the bank], and how strange
        they are, float32 [M]; what a lesson decides is not strange."""
        answer = self._propagator(
            {
                "log_theta": seen.log_scores,
                "feature": seen.feature,
                "embedding": seen.embedding,
                "prototypes": bank.prototypes,
                "neighbours": seen.neighbours,
                "affinity": seen.affinity,
            }
        )
        probability = tempered(answer["probability"], self.confidence.temperature)
        cosine = answer["similarity"]
        near = slice(self.propagation.neighbours)
        strange = strangeness(
            seen.log_theta, cosine, seen.neighbours[:, near], seen.affinity[:, near]
        )
        there = None
        if pose is not None:
            places = [lesson.place for lesson in bank.lessons]
            there = standing_at(seen.prepared, seen.colour, pose, places)
        beyond = bank.beyond_threshold(cosine, seen.colour, there)
        strange[(beyond >= 0).any(axis=1)] = 0
        return bank.decide(probability, beyond), strange


def _detected(row: int, found: Instance, prepared: Prepared) -> DetectedObject:
    upright = prepared.xyz[found.voxels]
    aligned = upright_box(upright)
    aligned = Box(aligned.center + prepared.grid.origin, aligned.rotation, aligned.extent)
    places = (upright + prepared.grid.origin) @ prepared.rotation
    return DetectedObject(
        row + 1,
        found.class_id,
        found.score,
        aligned.rotated(prepared.rotation.T),
        places.min(axis=0),
        places.max(axis=0),
    )


class _StageClock:
    """Milliseconds from lap to lap."""

    def __init__(self) -> None:
        self._last = perf_counter()
        self.milliseconds: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now
