"""Learning what tells whose object a super-voxel belongs to, from scenes with truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from offline_training.reach.clicked import ClickedScene
from offline_training.reach.model import (
    LOOKS,
    ReachModel,
    describe,
    look_at_pairs,
    with_nobody,
)
from offline_training.reach.shares import Shares, usual_areas
from offline_training.scenes import TrainingScene, VoxelTruth, majority
from offline_training.scorer import Scorer, Track, descend

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

PAIR_STEPS, PAIRS = 4000, 2048  # steps for `together`, and pairs of super-voxels in each
LOOK_STEPS, SUPERVOXELS = 5000, 600  # steps for each look, and super-voxels of a scene in each


@dataclass(frozen=True, eq=False)
class TrueScene:
    """A clicked scene whose truth is known.

    Attributes:
        thing: bool [C], of the scene's classes.
        key: int64 [M], the true object (the class, for stuff) that most of each super-voxel is of,
            -1 = unknown; clicked: int64 [J], the object that each click means, numbered alike.
    """

    scene: TrainingScene
    thing: NDArray[np.bool_]
    key: I64
    clicked: I64


def true_scene(scene: TrainingScene, truth: VoxelTruth, thing: NDArray[np.bool_]) -> TrueScene:
    """Super-voxels, and clicks that `simulate_clicks` made, beside their true objects."""
    marks = [mark for mark in scene.marks if mark.names]
    class_id = np.concatenate([truth.semantic, [mark.class_id for mark in marks]]).astype(np.int64)
    number = np.concatenate([truth.instance, [mark.object for mark in marks]]).astype(np.int64)
    known = class_id >= 0
    objects = np.column_stack([class_id, np.where(known & thing[class_id], number, 0)])
    _, key = np.unique(objects, axis=0, return_inverse=True)
    key = np.where(known, key.ravel(), -1).astype(np.int32)
    of_voxel, of_mark = key[: len(truth.semantic)], key[len(truth.semantic) :]
    most = majority(of_voxel, scene.prepared.supervoxel, scene.prepared.n_supervoxels)
    return TrueScene(scene, thing, most.astype(np.int64), of_mark.astype(np.int64))


def fit_reach(sites: Sequence[Sequence[TrueScene]], seed: int, track: Track) -> ReachModel:
    """Learn a model; the same sites and seed give the same one on a CPU.

    Args:
        sites: the scenes of each, all clicked; what is usual of a class is known in a site.
        track: wraps the steps of each part, as `rich.progress.track` does.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = ReachModel()
    _fit_together(model.together, [each for site in sites for each in site], rng, track)
    beside = [[(model.clicked(each.scene, each.thing), each) for each in site] for site in sites]
    before: list[list[Shares | None]] = [[None] * len(site) for site in beside]
    for look, scorer in enumerate(model.looks):
        assert isinstance(scorer, Scorer)
        examples = [
            _Example(clicked, shares, true)
            for site, known in zip(beside, before, strict=True)
            for (clicked, true), shares in zip(site, known, strict=True)
        ]
        _fit_look(scorer, examples, rng, track)
        if look + 1 < LOOKS:
            before = [
                _look(model, [clicked for clicked, _ in site], known, len(site[0][1].thing), look)
                for site, known in zip(beside, before, strict=True)
            ]
    return model.eval()


def _look(
    model: ReachModel,
    scenes: Sequence[ClickedScene],
    before: Sequence[Shares | None],
    classes: int,
    look: int,
) -> list[Shares | None]:
    """What a look finds in the scenes of one site, for the next one."""
    found = [model.share(*known, look) for known in zip(scenes, before, strict=True)]
    areas = [scene.look.area @ share for scene, share in zip(scenes, found, strict=True)]
    usual = usual_areas([scene.name for scene in scenes], areas, classes)
    return [Shares(scene, share, usual) for scene, share in zip(scenes, found, strict=True)]


def _fit_together(
    scorer: Scorer, scenes: Sequence[TrueScene], rng: np.random.Generator, track: Track
) -> None:
    features, same = [], []
    for each in scenes:
        _, _, found = look_at_pairs(each.scene)
        keys = each.key[each.scene.prepared.borders.pairs]
        known = (keys >= 0).all(axis=1)
        features.append(found[known])
        same.append(keys[known, 0] == keys[known, 1])
    x, y = np.concatenate(features), np.concatenate(same).astype(np.float32)
    scorer.standardise(x)

    def loss() -> Tensor:
        rows = rng.integers(len(x), size=PAIRS)
        score = scorer(torch.from_numpy(x[rows]))
        return functional.binary_cross_entropy_with_logits(score, torch.from_numpy(y[rows]))

    descend(scorer, loss, PAIR_STEPS, track)


class _Example:
    """Features of a scene's super-voxels beside its clicks, and whose they are.

    Attributes:
        features: float32 [M, J, F]; right: bool [M, J + 1], the clicks of the true object, and
            nobody; weight: float32 [M].
    """

    def __init__(self, scene: ClickedScene, before: Shares | None, true: TrueScene) -> None:
        self.features = describe(scene, before, slice(None))
        key = true.key
        own = key[:, None] == true.clicked
        self.right = np.column_stack([own, ~own.any(axis=1)])
        voxels = np.bincount(true.scene.prepared.supervoxel, minlength=len(key))
        # By area, as IoU counts: a hundredth of the walls called picture is more than all pictures.
        self.weight = np.where(key >= 0, voxels, 0).astype(np.float32)


def _fit_look(
    scorer: Scorer, examples: Sequence[_Example], rng: np.random.Generator, track: Track
) -> None:
    some = [each.features.reshape(-1, each.features.shape[2])[::7] for each in examples]
    scorer.standardise(np.concatenate(some))
    order: list[int] = []

    def loss() -> Tensor:
        if not order:
            order.extend(rng.permutation(len(examples)).tolist())
        each = examples[order.pop()]
        rows = rng.permutation(len(each.weight))[:SUPERVOXELS]
        score = with_nobody(scorer(torch.from_numpy(each.features[rows])))
        right = torch.from_numpy(each.right[rows])
        weight = torch.from_numpy(each.weight[rows])
        said = score.log_softmax(dim=1).masked_fill(~right, -math.inf).logsumexp(dim=1)
        return -(said * weight).sum() / weight.sum().clamp(min=1e-6)

    descend(scorer, loss, LOOK_STEPS, track)
