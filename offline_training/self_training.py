"""The loop of the method: train on the labels, propagate, choose new labels, and again."""

from __future__ import annotations

import io
import json
import math
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from rich.progress import Progress
from scipy.sparse import csr_matrix
from torch import Tensor

from offline_training.beliefs import (
    NetworkScores,
    believe,
    network_scores,
    propagated,
    similarity,
)
from offline_training.calibration import HeldOut, fit_temperature, held_out_marks, true_marks
from offline_training.checkpoint import load_networks, load_progress, save_networks, save_progress
from offline_training.labels import (
    PERSON,
    PSEUDO,
    SceneLabels,
    class_thresholds,
    clicked_labels,
    clicked_targets,
    grow_objects,
    true_targets,
    with_pseudo_labels,
    without_labels,
)
from offline_training.losses import step_losses
from offline_training.networks import PrototypeBank, RelationNet, SemanticNet
from offline_training.reach import click_reach, nothing_reached
from offline_training.samples import Targets, draw_batch
from offline_training.scenes import TrainingScene, load_scene, majority, voxel_truth
from offline_training.settings import TrainingSettings
from offline_training.transformer import TransformerPropagation
from otoc_ros.core.confidence import tempered
from otoc_ros.core.errors import InputError
from otoc_ros.core.growth import touching
from otoc_ros.core.preprocess import Preprocessing
from otoc_ros.site.files import atomic_write
from otoc_ros.site.site import Site

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

SAVE_EVERY = 100  # steps between two saves of the progress of a round


class Interrupted(Exception):
    """Training stopped at a person's wish; everything up to here is saved."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of a site; `transformer` is None where the graph propagates."""

    theta: SemanticNet
    relation: RelationNet
    transformer: TransformerPropagation | None = None

    @classmethod
    def fresh(cls, site: Site, settings: TrainingSettings, device: torch.device) -> Networks:
        """New networks; their first weights depend on the seed alone."""
        torch.manual_seed(settings.seed)
        columns, classes = len(preprocessing(site).features), len(site.config.classes)
        theta = SemanticNet(columns, classes, settings.width, settings.levels).to(device)
        relation = RelationNet(columns, classes, settings.width).to(device)
        if settings.propagation.kind == "graph":
            return cls(theta, relation)
        return cls(theta, relation, TransformerPropagation(settings.width, classes).to(device))

    def named(self) -> dict[str, torch.nn.Module]:
        networks: dict[str, torch.nn.Module] = {"theta": self.theta, "relation": self.relation}
        if self.transformer is not None:
            networks["transformer"] = self.transformer
        return networks


def preprocessing(site: Site) -> Preprocessing:
    """How clouds of this site are prepared."""
    return Preprocessing(voxel_size=site.config.voxel_size)


def round_folder(site: Site, number: int) -> Path:
    return site.path / "rounds" / f"{number:02d}"


def round_metrics(site: Site, number: int) -> dict[str, Any]:
    """What a finished round noted; InputError where its file is damaged."""
    path = round_folder(site, number) / "metrics.json"
    try:
        metrics: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged; train again without --resume") from error
    return {"temperature": 1.0, "held_out_clicks": 0} | metrics  # of before confidence was fitted


def finished_rounds(site: Site) -> int:
    """Rounds that are complete on disk."""
    number = 0
    while (round_folder(site, number) / "metrics.json").exists():
        number += 1
    return number


def train_site(
    site: Site,
    settings: TrainingSettings,
    device: torch.device,
    progress: Progress,
    *,
    resume: bool = False,
) -> None:
    """Train a site's networks; the results lie in SITE/rounds.

    The same site, settings and seed give the same weights on a CPU, interrupted or not.

    Args:
        resume: go on where an earlier run with the same settings stopped.

    Raises:
        InputError: nothing to train on, or nothing that fits to resume.
        Interrupted: Ctrl-C; the step was finished and saved.
    """
    torch.use_deterministic_algorithms(device.type == "cpu")
    _begin(site, settings, resume)
    trainer = _Trainer(site, settings, device, progress)
    networks = Networks.fresh(site, settings, device)
    first = finished_rounds(site)
    if first:
        load_networks(round_folder(site, first - 1) / "networks.safetensors", networks.named())
    labels = trainer.labels_after(first - 1)
    with _stop_on_interrupt() as stop:
        for number in range(first, settings.rounds):
            labels = trainer.play_round(number, networks, labels, stop)


class _Trainer:
    """The scenes of a site and what a round does with them."""

    def __init__(
        self, site: Site, settings: TrainingSettings, device: torch.device, progress: Progress
    ) -> None:
        self.site, self.settings, self.device, self.progress = site, settings, device, progress
        self.preprocessing = preprocessing(site)
        self.thing = np.array([known.kind == "thing" for known in site.config.classes])
        self.scenes: list[TrainingScene] = []
        self.clicked: list[SceneLabels] = []
        self.graphs: list[csr_matrix] = []
        self.truth_targets: list[Targets] = []
        on_disk = site.scenes(split="train")
        task = progress.add_task("prepare scenes", total=len(on_disk))
        for scene in on_disk:
            loaded = load_scene(scene, self.preprocessing)
            self.clicked.append(clicked_labels(loaded.marks, loaded.prepared.n_supervoxels))
            self.graphs.append(touching(loaded.prepared))
            if settings.labels == "full":
                truth = voxel_truth(scene, loaded.prepared)
                self.truth_targets.append(true_targets(loaded.prepared, truth, self.thing))
                loaded = replace(loaded, marks=true_marks(loaded.prepared, truth))
            self.scenes.append(loaded)
            progress.advance(task)
        self.held_out = held_out_marks([scene.marks for scene in self.scenes])
        self.reach = [
            click_reach(scene, graph, self.thing)
            if settings.reach
            else nothing_reached(scene, len(self.thing))
            for scene, graph in zip(self.scenes, self.graphs, strict=True)
        ]
        if settings.labels == "clicks" and not any((c.label >= 0).any() for c in self.clicked):
            raise InputError(
                f"site {site.path} has no clicks on scenes of split train; "
                "click with `otoc label` or use --labels full"
            )

    def labels_after(self, number: int) -> list[SceneLabels]:
        """The labels that a finished round left for the next one; before round 0 what the clicks
        reach: no network has to learn from the clicked super-voxels alone."""
        if self.settings.labels == "full":
            return self.clicked
        if number < 0:
            return self._choose(number, [np.exp(reach) for reach in self.reach])
        path = round_folder(self.site, number) / "labels.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return [
                    SceneLabels(*(arrays[f"{scene.name}/{part}"] for part in _PARTS))
                    for scene in self.scenes
                ]
        except (OSError, KeyError, ValueError) as error:
            raise InputError(
                f"{path} is missing, damaged or of other scenes; train again without --resume"
            ) from error

    def play_round(
        self, number: int, networks: Networks, labels: list[SceneLabels], stop: list[bool]
    ) -> list[SceneLabels]:
        """Train on the labels, propagate, and leave the next labels on disk."""
        begin = time.monotonic()
        folder = round_folder(self.site, number)
        folder.mkdir(parents=True, exist_ok=True)
        held_out = self._held_out_in(number)
        owners = self._owners(labels)
        hidden = [np.isin(owner, rows) for owner, rows in zip(owners, held_out, strict=True)]
        targets = self._targets(labels, owners, hidden)
        area = self._area_before(number)
        losses = self._optimise(number, networks, targets, area, stop)
        scores = self._look(number, networks)
        bank = networks.relation.bank
        scores = self._settle_bank(bank, scores, labels, hidden, area)
        if networks.transformer is not None:
            scores = [propagated(networks.transformer, bank, each) for each in scores]
        temperature = self._calibrate(number, scores, held_out, area)
        beliefs = [tempered(belief, temperature) for belief in self._propagate(scores)]
        following = self._choose(number, beliefs)
        save_networks(folder / "networks.safetensors", networks.named())
        _save_labels(folder / "labels.npz", self.scenes, following, _areas(self.scenes, beliefs))
        metrics = {
            "round": number,
            "seconds": round(time.monotonic() - begin, 1),
            "losses": losses,
            "temperature": temperature,
            "held_out_clicks": sum(map(len, held_out)),
            "clicked_supervoxels": _count(following, PERSON),
            "pseudo_labels": _count(following, PSEUDO),
            "supervoxels": sum(len(known.label) for known in following),
        }
        (folder / "progress.safetensors").unlink(missing_ok=True)
        # Written last: a round with metrics is complete.
        atomic_write(folder / "metrics.json", json.dumps(metrics, indent=1).encode())
        return following

    def _held_out_in(self, number: int) -> list[list[int]]:
        """Marks that a round is not taught, by scene; the last round learns from every click, and
        what was learnt once cannot be held out any more."""
        last = number == self.settings.rounds - 1
        learnt = number > 0 and not round_metrics(self.site, number - 1)["held_out_clicks"]
        return [[] for _ in self.scenes] if last or learnt else self.held_out

    def _owners(self, labels: list[SceneLabels]) -> list[I32]:
        """The mark whose object each super-voxel is part of, by scene."""
        known = self._known(labels)
        return list(map(grow_objects, self.scenes, known, self.graphs))

    def _known(self, labels: list[SceneLabels]) -> list[I32]:
        """The class that each super-voxel is taught as, by scene."""
        if self.settings.labels == "full":
            return list(map(_supervoxel_truth, self.scenes, self.truth_targets))
        return [each.label for each in labels]

    def _targets(
        self, labels: list[SceneLabels], owners: list[I32], hidden: list[NDArray[np.bool_]]
    ) -> list[Targets]:
        if self.settings.labels == "full":
            targets = self.truth_targets
        else:
            targets = [
                clicked_targets(scene, known, owner, self.thing)
                for scene, known, owner in zip(self.scenes, labels, owners, strict=True)
            ]
        return [
            without_labels(target, mask[scene.prepared.supervoxel])
            for scene, target, mask in zip(self.scenes, targets, hidden, strict=True)
        ]

    def _area_before(self, number: int) -> NDArray[np.float64]:
        """Area of each class as it is known before a round."""
        if self.settings.labels == "full":
            true = np.concatenate([target.label for target in self.truth_targets])
            return np.bincount(true[true >= 0], minlength=len(self.thing)).astype(np.float64)
        if number == 0:
            return _areas(self.scenes, [np.exp(reach) for reach in self.reach])
        with np.load(round_folder(self.site, number - 1) / "labels.npz") as arrays:
            area: NDArray[np.float64] = arrays["area"]
            return area

    def _optimise(
        self,
        number: int,
        networks: Networks,
        targets: list[Targets],
        area: NDArray[np.float64],
        stop: list[bool],
    ) -> dict[str, float]:
        settings = self.settings
        useful = [row for row, target in enumerate(targets) if (target.label >= 0).any()]
        scenes, targets = [self.scenes[row] for row in useful], [targets[row] for row in useful]
        class_weight = _class_weights(targets, area).to(self.device)
        parameters = [p for network in networks.named().values() for p in network.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=1e-3)
        saved = round_folder(self.site, number) / "progress.safetensors"
        done = load_progress(saved, networks.named(), optimizer) if saved.exists() else 0
        task = self.progress.add_task(
            f"round {number + 1} of {settings.rounds}: train", total=settings.steps, completed=done
        )
        for network in networks.named().values():
            network.train()
        recent: list[list[float]] = []
        for step in range(done, settings.steps):
            # A generator of its own for every step: resuming needs no state of it.
            rng = np.random.default_rng([settings.seed, number, step])
            batch = draw_batch(
                scenes, targets, self.preprocessing, settings.crops, settings.levels,
                settings.max_voxels, rng, self.device,
            )  # fmt: skip
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _warm_cosine(
                    (number * settings.steps + step) / (settings.rounds * settings.steps)
                )
            optimizer.zero_grad(set_to_none=True)
            torch.manual_seed(int(rng.integers(2**62)))  # of dropout
            losses = step_losses(
                networks.theta, networks.relation, networks.transformer, batch, class_weight,
                min(1.0, float(number)),
            )  # fmt: skip
            losses.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters, 10.0)
            optimizer.step()
            recent = (recent + [[part.item() for part in losses]])[-50:]
            self.progress.advance(task)
            if stop[0] or (step + 1) % SAVE_EVERY == 0:
                save_progress(saved, networks.named(), optimizer, step + 1)
            if stop[0]:
                raise Interrupted(
                    f"stopped in round {number + 1} after step {step + 1} of {settings.steps}; "
                    "go on with --resume"
                )
        means = np.mean(recent, axis=0) if recent else []
        return dict(zip(losses._fields, np.round(means, 4).tolist(), strict=True)) if recent else {}

    def _look(self, number: int, networks: Networks) -> list[NetworkScores]:
        """Run the networks over every scene."""
        task = self.progress.add_task(f"round {number + 1}: propagate", total=len(self.scenes))
        scores = []
        for scene in self.scenes:
            scores.append(
                network_scores(networks.theta, networks.relation, scene.prepared, self.device)
            )
            self.progress.advance(task)
        return scores

    def _settle_bank(
        self,
        bank: PrototypeBank,
        scores: list[NetworkScores],
        labels: list[SceneLabels],
        hidden: list[NDArray[np.bool_]],
        area: NDArray[np.float64],
    ) -> list[NetworkScores]:
        """Re-estimate the prototypes from every labelled super-voxel: a running mean over small
        batches remembers only the last scenes. Returns the scores with the new similarities."""
        label = np.where(np.concatenate(hidden), -1, np.concatenate(self._known(labels)))
        embedding = np.concatenate([each.embedding for each in scores])[label >= 0]
        bank.update(
            torch.from_numpy(embedding).to(self.device),
            torch.from_numpy(label[label >= 0]).long().to(self.device),
            momentum=0.0,
        )
        bank.expect(torch.from_numpy(area))
        return [replace(each, similarity=similarity(bank, each.embedding)) for each in scores]

    def _propagate(self, scores: list[NetworkScores]) -> list[F32]:
        return [
            believe(*each, self.settings.propagation)
            for each in zip(self.scenes, scores, self.clicked, self.reach, strict=True)
        ]

    def _calibrate(
        self,
        number: int,
        scores: list[NetworkScores],
        held_out: list[list[int]],
        area: NDArray[np.float64],
    ) -> float:
        """The temperature of a round's beliefs, from the clicks that it was not taught."""
        if not any(held_out):
            return round_metrics(self.site, number - 1)["temperature"] if number else 1.0
        beliefs, labels = [], []
        for scene, score, rows in zip(self.scenes, scores, held_out, strict=True):
            if rows:
                nobody = clicked_labels((), scene.prepared.n_supervoxels)
                unmarked = replace(scene, marks=())
                belief = believe(unmarked, score, nobody, None, self.settings.propagation)
                beliefs.append(belief[[scene.marks[row].supervoxel for row in rows]])
                labels += [scene.marks[row].class_id for row in rows]
        label = np.array(labels, np.int32)
        share = np.sqrt(area)[label] / np.bincount(label)[label]  # as the losses weigh classes
        return fit_temperature(HeldOut(np.concatenate(beliefs), label, share))

    def _choose(self, number: int, beliefs: list[F32]) -> list[SceneLabels]:
        settings = self.settings
        share = settings.shares[min(number + 1, len(settings.shares) - 1)]
        thresholds = class_thresholds(beliefs, share, settings.accept, settings.floor)
        return [
            with_pseudo_labels(clicked, belief, thresholds)
            for clicked, belief in zip(self.clicked, beliefs, strict=True)
        ]


_PARTS = ("label", "provenance", "confidence")


def _save_labels(
    path: Path,
    scenes: Sequence[TrainingScene],
    labels: Sequence[SceneLabels],
    area: NDArray[np.float64],
) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        area=area,
        **{
            f"{scene.name}/{part}": getattr(known, part)
            for scene, known in zip(scenes, labels, strict=True)
            for part in _PARTS
        },
    )
    atomic_write(path, buffer.getvalue())


def _supervoxel_truth(scene: TrainingScene, targets: Targets) -> NDArray[np.int32]:
    prepared = scene.prepared
    return majority(targets.label, prepared.supervoxel, prepared.n_supervoxels)


def _class_weights(targets: Sequence[Targets], area: NDArray[np.float64]) -> Tensor:
    """Weight of a labelled voxel of each class in the losses: float32 [C], mean about 1.

    Together the voxels of a class weigh the square root of the class's area, however few of them
    are labelled: a wall of which one super-voxel was clicked is still most of the room.
    """
    count = np.zeros(len(area))
    for target in targets:
        count += np.bincount(target.label[target.label >= 0], minlength=len(area))
    weight = np.where(count > 0, np.sqrt(area) / np.maximum(count, 1), 0)
    weight /= (weight * count).sum() / count.sum()
    return torch.from_numpy(weight.astype(np.float32))


def _areas(scenes: Sequence[TrainingScene], beliefs: Sequence[F32]) -> NDArray[np.float64]:
    """Voxels that belong to each class if the beliefs are right: float64 [C]."""
    area = np.zeros(beliefs[0].shape[1])
    for scene, belief in zip(scenes, beliefs, strict=True):
        size = np.bincount(scene.prepared.supervoxel, minlength=scene.prepared.n_supervoxels)
        area += size @ belief
    return area


def _warm_cosine(share: float) -> float:
    """Learning rate over all rounds, as a share of its peak; a restart would cost what the networks
    know just when better labels arrive."""
    return min(1.0, (share + 0.002) / 0.05) * 0.5 * (1 + math.cos(math.pi * share))


def _count(labels: Sequence[SceneLabels], provenance: int) -> int:
    return int(sum((known.provenance == provenance).sum() for known in labels))


def _begin(site: Site, settings: TrainingSettings, resume: bool) -> None:
    """Make a fresh folder of rounds, or check that the one that is there can be gone on with."""
    rounds = site.path / "rounds"
    path = rounds / "training.json"
    if not resume:
        if rounds.exists():
            shutil.rmtree(rounds)
        rounds.mkdir()
        atomic_write(path, settings.model_dump_json(indent=1).encode())
        return
    earlier = training_settings(site)
    if earlier.model_copy(update={"rounds": settings.rounds}) != settings:
        different = [
            name for name, value in earlier if name != "rounds" and value != getattr(settings, name)
        ]
        raise InputError(
            f"{path} was begun with other settings ({', '.join(different)}); "
            "give the same ones or train again without --resume"
        )


def training_settings(site: Site) -> TrainingSettings:
    """The settings of the run in SITE/rounds; InputError where there is none."""
    path = site.path / "rounds" / "training.json"
    try:
        return TrainingSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"site {site.path} was not trained yet; run `otoc train`") from error
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} cannot be used; run `otoc train` again") from error


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
