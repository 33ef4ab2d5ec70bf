"""The loop of the method: train on the labels, propagate, choose new labels, and again."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from offline_training import parallel
from offline_training.beliefs import (
    NetworkScores,
    believe,
    how_strange,
    network_scores,
    propagated,
    similarity,
)
from offline_training.calibration import HeldOut, fit_confidence, held_out_marks, true_marks
from offline_training.checkpoint import load_networks, save_networks
from offline_training.curves import draw_curves, thinned
from offline_training.labels import (
    PERSON,
    PSEUDO,
    SceneLabels,
    class_thresholds,
    clicked_labels,
    clicked_targets,
    grow_objects,
    object_numbers,
    object_paths,
    shared_objects,
    true_targets,
    with_pseudo_labels,
    without_labels,
)
from offline_training.losses import Losses
from offline_training.model import Networks
from offline_training.networks import PrototypeBank
from offline_training.one_by_one import OneByOne
from offline_training.optimise import Interrupted, class_weights, mean_losses, optimise
from offline_training.reach import LOOKS, ReachModel, reach_every_scene
from offline_training.rounds import (
    begin_rounds,
    continue_rounds,
    finished_rounds,
    fitted_confidence,
    is_last,
    is_trained,
    load_labels,
    preprocessing,
    round_folder,
    round_metrics,
    save_doubts,
    save_labels,
    scratch_folder,
    training_settings,
)
from offline_training.samples import Targets, labelled_parts
from offline_training.scene_store import SceneStore
from offline_training.scenes import TrainingScene, load_scene, majority, voxel_truth
from offline_training.settings import TrainingSettings
from otoc_ros.core.confidence import ConfidenceSettings, tempered
from otoc_ros.core.errors import InputError
from otoc_ros.site.files import atomic_write
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site

__all__ = [
    "Interrupted",
    "Networks",
    "finished_rounds",
    "preprocessing",
    "round_folder",
    "round_metrics",
    "train_site",
    "training_settings",
]

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


def train_site(
    site: Site,
    settings: TrainingSettings,
    device: torch.device,
    progress: Progress,
    *,
    resume: bool = False,
) -> None:
    """Train a site's networks; the results lie in SITE/rounds.

    The same site, settings and seed give the same weights on a CPU, interrupted or not. Started by
    `torchrun`, its processes share every step, and the result is that of one process within
    rounding.

    Args:
        resume: go on where an earlier run with the same settings stopped.

    Raises:
        InputError: nothing to train on, nothing that fits to resume, or more processes than crops.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    device = parallel.join(device)
    if parallel.count() > settings.crops:
        raise InputError(
            f"{parallel.count()} processes for the {settings.crops} crops of a step; start "
            f"torchrun with --nproc-per-node {settings.crops} or less"
        )
    torch.use_deterministic_algorithms(device.type == "cpu")
    scratch = scratch_folder(site)
    if parallel.rank() == 0:
        if resume:
            continue_rounds(site, settings)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
    parallel.wait()
    try:
        trainer = _Trainer(site, settings, device, progress)
        if parallel.rank() == 0:
            if not resume:  # not earlier: what cannot be trained costs no training that was
                begin_rounds(site, settings)
            save_doubts(site, site.scenes(split="train"), trainer.doubted)
        parallel.wait()
        networks = Networks.fresh(site, settings, device)
        first = finished_rounds(site)
        if first:
            load_networks(round_folder(site, first - 1) / "networks.safetensors", networks.named())
        with _stop_on_interrupt() as stop:
            while not is_trained(site, settings):
                trainer.play_round(finished_rounds(site), networks, stop)
    finally:
        if parallel.rank() == 0:
            shutil.rmtree(scratch, ignore_errors=True)


class _Trainer:
    """The scenes of a site and what a round does with them.

    What is large lies in SITE/rounds/scratch and is mapped when it is looked at; memory keeps the
    labels of super-voxels. Of several processes each works on scenes of its own, and the first one
    decides.
    """

    def __init__(
        self, site: Site, settings: TrainingSettings, device: torch.device, progress: Progress
    ) -> None:
        self.site, self.settings, self.device, self.progress = site, settings, device, progress
        self.preprocessing = preprocessing(site)
        self.thing = np.array([known.kind == "thing" for known in site.config.classes])
        on_disk = site.scenes(split="train")
        names = [scene.name for scene in on_disk]
        self.store = SceneStore(scratch_folder(site), names, self.preprocessing)
        task = progress.add_task("prepare scenes", total=len(names))
        for row in self._mine():
            self._prepare(row, on_disk[row])
            progress.advance(task, parallel.count())
        parallel.wait()
        self.scenes = OneByOne(len(names), self.store.scene)
        self.reach = OneByOne(len(names), lambda row: self.store.read(row, "reach")["reach"])
        reaches = settings.reach and settings.labels == "clicks"
        model = ReachModel.shipped() if reaches else None
        task = progress.add_task("reach", total=len(names) * (LOOKS if model else 1))
        self.doubted = reach_every_scene(
            self.store,
            self._mine(),
            self.thing,
            model,
            lambda: progress.advance(task, parallel.count()),
        )
        self.clicked = [
            clicked_labels(scene.marks, scene.prepared.n_supervoxels) for scene in self.scenes
        ]
        self.held_out = held_out_marks([scene.marks for scene in self.scenes])
        if settings.labels == "clicks" and not any((c.label >= 0).any() for c in self.clicked):
            raise InputError(
                f"site {site.path} has no clicks on scenes of split train; "
                "click with `otoc label` or use --labels full"
            )

    def _mine(self) -> range:
        """Rows of the scenes that this process works on."""
        return range(parallel.rank(), len(self.store.names), parallel.count())

    def _prepare(self, row: int, scene: Scene) -> None:
        loaded = load_scene(scene, self.preprocessing)
        paths = object_paths(loaded)
        if self.settings.labels == "full":
            truth = voxel_truth(scene, loaded.prepared)
            targets = true_targets(loaded.prepared, truth, self.thing)
            self.store.write(row, "truth", vars(targets))
            loaded = replace(loaded, marks=true_marks(loaded.prepared, truth))
        self.store.write_scene(row, loaded, paths)

    def labels_after(self, number: int) -> Sequence[SceneLabels]:
        """The labels that a finished round left for the next one; before round 0 what the clicks
        reach: no network has to learn from the clicked super-voxels alone."""
        if self.settings.labels == "full":
            return self.clicked
        if number < 0:
            return self._choose(number, self._reached())
        return load_labels(round_folder(self.site, number) / "labels.npz", self.store.names)

    def _reached(self) -> Sequence[F32]:
        return OneByOne(len(self.reach), lambda row: np.exp(self.reach[row]))

    def play_round(self, number: int, networks: Networks, stop: list[bool]) -> None:
        """Train on the labels, propagate, and leave the next labels on disk."""
        begin = time.monotonic()
        folder = round_folder(self.site, number)
        folder.mkdir(parents=True, exist_ok=True)
        held_out = self._held_out_in(number)
        taught = self.labels_after(number - 1)
        self._teach(taught, held_out)
        area = self._area_before(number)
        losses = self._optimise(number, networks, area, stop)
        self._look(number, networks)
        if parallel.rank() == 0:
            self._settle_bank(networks.relation.bank, area)
            confidence = self._propagate(number, networks, held_out, area)
            beliefs = self._beliefs(confidence.temperature)
            following = self._choose(number, beliefs)
            save_networks(folder / "networks.safetensors", networks.named())
            areas = _areas(self.scenes, beliefs)
            numbers = self._object_numbers(following)
            save_labels(folder / "labels.npz", self.store.names, following, numbers, areas)
            metrics = {
                "round": number,
                "seconds": round(time.monotonic() - begin, 1),
                "losses": mean_losses(losses),
                "curve": thinned(np.array(losses), Losses._fields),
                "confidence": confidence.model_dump(),
                "held_out_clicks": sum(map(len, held_out)),
                "clicked_supervoxels": _count(following, PERSON),
                "pseudo_labels": _count(following, PSEUDO),
                "supervoxels": sum(len(known.label) for known in following),
                # The truth that full labels teach stays.
                "changed": _changed(taught, following) if self.settings.labels == "clicks" else 0.0,
            }
            earlier = [round_metrics(self.site, each) for each in range(number)]
            draw_curves(folder / "curves.png", [*earlier, metrics])
            (folder / "progress.safetensors").unlink(missing_ok=True)
            # Written last: a round with metrics is complete.
            atomic_write(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
        parallel.wait()
        if parallel.rank() > 0:
            load_networks(folder / "networks.safetensors", networks.named())

    def _held_out_in(self, number: int) -> list[list[int]]:
        """Marks that a round is not taught, by scene; the last round learns from every click, and
        what was learnt once cannot be held out any more."""
        last = is_last(self.site, self.settings, number)
        learnt = number > 0 and not round_metrics(self.site, number - 1)["held_out_clicks"]
        return [[] for _ in self.held_out] if last or learnt else self.held_out

    def _teach(self, labels: Sequence[SceneLabels], held_out: list[list[int]]) -> None:
        """Note what each scene's voxels and super-voxels are taught: nothing where an object lies
        whose click is held out."""
        for row in self._mine():
            scene = self.scenes[row]
            groups, label = scene.prepared.supervoxel, labels[row].label
            if self.settings.labels == "full":
                targets = Targets(**self.store.read(row, "truth"))
                label = majority(targets.label, groups, scene.prepared.n_supervoxels)
            owner = self._owners(row, scene, label)
            if self.settings.labels != "full":
                numbers = object_numbers(scene, owner, self.thing)
                targets = clicked_targets(scene, labels[row], numbers)
            hidden = np.isin(owner, held_out[row])
            taught = np.where(hidden, -1, label)
            self.store.write(row, "taught", {"label": taught})
            self.store.write(row, "targets", vars(without_labels(targets, hidden[groups])))
        parallel.wait()

    def _owners(self, row: int, scene: TrainingScene, label: I32) -> I32:
        """Mark whose object each super-voxel belongs to, by its label: int32 [M], -1 = nobody's."""
        share = self.store.read(row, "share")["share"]
        if share.shape[1]:
            return shared_objects(scene, label, share)
        return grow_objects(scene, label, self.store.paths(row))

    def _object_numbers(self, labels: Sequence[SceneLabels]) -> list[I32]:
        """Objects of each scene's super-voxels, 0 = none: int32 [M]."""
        return [
            object_numbers(scene, self._owners(row, scene, labels[row].label), self.thing)
            for row, scene in enumerate(self.scenes)
        ]

    def _area_before(self, number: int) -> NDArray[np.float64]:
        """Area of each class as it is known before a round."""
        if self.settings.labels == "full":
            area = np.zeros(len(self.thing))
            for row in range(len(self.scenes)):
                true = self.store.read(row, "truth")["label"]
                area += np.bincount(true[true >= 0], minlength=len(self.thing))
            return area
        if number == 0:
            return _areas(self.scenes, self._reached())
        with np.load(round_folder(self.site, number - 1) / "labels.npz") as arrays:
            known: NDArray[np.float64] = arrays["area"]
            return known

    def _optimise(
        self, number: int, networks: Networks, area: NDArray[np.float64], stop: list[bool]
    ) -> list[list[float]]:
        settings = self.settings
        places = [
            (row, part)
            for row, scene in enumerate(self.scenes)
            for part in labelled_parts(scene, self._targets(row))
        ]
        rows = sorted({row for row, _ in places})
        weight = class_weights(OneByOne(len(rows), lambda place: self._targets(rows[place])), area)
        task = self.progress.add_task(
            f"round {number + 1} of {settings.rounds}: train", total=settings.steps
        )
        return optimise(
            number,
            settings,
            networks,
            OneByOne(
                len(places), lambda place: self.scenes[places[place][0]].only(places[place][1])
            ),
            OneByOne(len(places), lambda place: self._targets(places[place][0])),
            self.preprocessing,
            weight,
            round_folder(self.site, number) / "progress.safetensors",
            settings.rounds - number if is_last(self.site, settings, number) else 1,
            stop,
            lambda steps: self.progress.advance(task, steps),
        )

    def _targets(self, row: int) -> Targets:
        return Targets(**self.store.read(row, "targets"))

    def _look(self, number: int, networks: Networks) -> None:
        """Run the networks over every scene."""
        task = self.progress.add_task(f"round {number + 1}: propagate", total=len(self.scenes))
        for row in self._mine():
            prepared = self.scenes[row].prepared
            scores = network_scores(networks.theta, networks.relation, prepared, self.device)
            self.store.write(row, "scores", vars(scores))
            self.progress.advance(task, parallel.count())
        parallel.wait()

    def _settle_bank(self, bank: PrototypeBank, area: NDArray[np.float64]) -> None:
        """Re-estimate the prototypes from every labelled super-voxel."""
        total = np.zeros(bank.prototype.shape)
        count = np.zeros(len(total), np.int64)
        for row in range(len(self.scenes)):
            label = self.store.read(row, "taught")["label"]
            embedding = self.store.read(row, "scores")["embedding"]
            np.add.at(total, label[label >= 0], embedding[label >= 0])
            count += np.bincount(label[label >= 0], minlength=len(count))
        bank.settle(
            torch.from_numpy(total.astype(np.float32)).to(self.device),
            torch.from_numpy(count).to(self.device),
        )
        bank.expect(torch.from_numpy(area))

    def _propagate(
        self,
        number: int,
        networks: Networks,
        held_out: list[list[int]],
        area: NDArray[np.float64],
    ) -> ConfidenceSettings:
        """Note what is believed of each scene, and return what that is worth, from the clicks that
        the round was not taught."""
        beliefs, labels, strange = [], [], []
        spread = self.settings.propagation
        for row, scene in enumerate(self.scenes):
            scores = self._scores(row, networks)
            reach = self.reach[row] if scene.marks else None
            belief = believe(scene, scores, self.clicked[row], reach, spread)
            self.store.write(row, "belief", {"belief": belief})
            if held_out[row]:  # what would be believed live, without the clicks of the scene
                nobody = clicked_labels((), scene.prepared.n_supervoxels)
                live = believe(replace(scene, marks=()), scores, nobody, None, spread)
                marks = [scene.marks[mark] for mark in held_out[row]]
                places = [mark.supervoxel for mark in marks]
                beliefs.append(live[places])
                labels += [mark.class_id for mark in marks]
                raw = NetworkScores(**self.store.read(row, "scores"))
                strange.append(how_strange(scene, raw, networks.relation.bank, spread)[places])
        if not labels:
            return fitted_confidence(self.site, number - 1)
        label = np.array(labels, np.int32)
        stands_for = area[label] / np.bincount(label)[label]
        return fit_confidence(
            HeldOut(np.concatenate(beliefs), label, stands_for, np.concatenate(strange))
        )

    def _scores(self, row: int, networks: Networks) -> NetworkScores:
        """What the networks said of a scene, compared with the prototypes as they are now."""
        bank = networks.relation.bank
        scores = NetworkScores(**self.store.read(row, "scores"))
        scores = replace(scores, similarity=similarity(bank, scores.embedding))
        if networks.transformer is not None:
            scores = propagated(networks.transformer, bank, scores)
        return scores

    def _beliefs(self, temperature: float) -> Sequence[F32]:
        return OneByOne(
            len(self.scenes),
            lambda row: tempered(self.store.read(row, "belief")["belief"], temperature),
        )

    def _choose(self, number: int, beliefs: Sequence[F32]) -> list[SceneLabels]:
        settings = self.settings
        share = settings.shares[min(number + 1, len(settings.shares) - 1)]
        thresholds = class_thresholds(beliefs, share, settings.accept, settings.floor)
        return [
            with_pseudo_labels(clicked, belief, thresholds)
            for clicked, belief in zip(self.clicked, beliefs, strict=True)
        ]


def _areas(scenes: Sequence[TrainingScene], beliefs: Sequence[F32]) -> NDArray[np.float64]:
    """Voxels that belong to each class if the beliefs are right: float64 [C]."""
    area = np.zeros(beliefs[0].shape[1])
    for scene, belief in zip(scenes, beliefs, strict=True):
        size = np.bincount(scene.prepared.supervoxel, minlength=scene.prepared.n_supervoxels)
        area += size @ belief
    return area


def _changed(before: Sequence[SceneLabels], after: Sequence[SceneLabels]) -> float:
    """Share of all super-voxels that were labelled otherwise before."""
    different = [old.label != new.label for old, new in zip(before, after, strict=True)]
    return round(float(np.concatenate(different).mean()), 5)


def _count(labels: Sequence[SceneLabels], provenance: int) -> int:
    return int(sum((known.provenance == provenance).sum() for known in labels))


@contextmanager
def _stop_on_interrupt() -> Iterator[list[bool]]:
    """Ctrl-C asks for a stop after the present step; a second one does not wait."""
    stop = [False]

    def ask(number: int, frame: object) -> None:
        if stop[0]:
            raise KeyboardInterrupt
        stop[0] = True

    try:
        former = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread: nobody can press Ctrl-C here
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, former)
