"""Which click's object each super-voxel belongs to, learnt once for all sites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from offline_training.checkpoint import load_networks
from offline_training.reach.behind import surfaces_behind
from offline_training.reach.clicked import CLICK_FEATURES, ClickedScene
from offline_training.reach.pairs import PAIR_FEATURES, describe_pairs
from offline_training.reach.shares import SHARE_FEATURES, Shares
from offline_training.scenes import TrainingScene
from offline_training.scorer import Scorer
from otoc_ros.core.look import Look

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SHIPPED = Path(__file__).parent / "model.safetensors"
LOOKS = 3  # at a scene; the second and the third know what the one before them found
HIDDEN = 64  # of its scorers
PAIRS_AT_ONCE = 1 << 20  # of a super-voxel and a click; bounds the memory of their features


class ReachModel(nn.Module):
    """Shares a scene among its clicks by how its super-voxels look, not by what classes look like.

    `together` tells whether one object has both of two super-voxels that touch, from which the
    costs of paths follow. `looks` compares every super-voxel with every click, and with nobody's
    object (a score of 0: nobody clicked it); each look after the first one also knows how the one
    before shared the scene. Nothing in it knows a class: it is learnt on simulated rooms with
    truth, and holds for rooms with other furniture and for what no room has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.together = Scorer(PAIR_FEATURES, HIDDEN)
        sizes = [CLICK_FEATURES] + [CLICK_FEATURES + SHARE_FEATURES] * (LOOKS - 1)
        self.looks = nn.ModuleList([Scorer(size, HIDDEN) for size in sizes])

    @classmethod
    def shipped(cls) -> ReachModel:
        """The one that comes with the package, made by `tools/train_reach.py`."""
        model = cls()
        load_networks(SHIPPED, {"reach": model})
        return model.eval()

    @torch.no_grad()
    def clicked(self, scene: TrainingScene, thing: NDArray[np.bool_]) -> ClickedScene:
        """A scene beside its clicks, of which it has one at least.

        Args:
            thing: bool [C].
        """
        marks = [mark for mark in scene.marks if mark.names]
        look, behind, pairs = look_at_pairs(scene)
        score = self.together(torch.from_numpy(pairs))
        together = functional.logsigmoid(score).double().numpy()
        return ClickedScene.of(scene.prepared, look, behind, together, marks, thing)

    @torch.no_grad()
    def share(self, scene: ClickedScene, before: Shares | None = None, look: int = 0) -> F32:
        """Probability that each click's object has a super-voxel: float32 [M, J]. What is missing
        to 1 is nobody's.

        Args:
            before: what the look before this one found; None for the first one.
        """
        share = np.empty((len(scene.height), len(scene.place)), np.float32)
        for rows in _blocks(*share.shape):
            score = self.looks[look](torch.from_numpy(describe(scene, before, rows)))
            share[rows] = with_nobody(score).softmax(dim=1)[:, :-1].numpy()
        return share


def look_at_pairs(scene: TrainingScene) -> tuple[Look, F32, F32]:
    """How super-voxels look, what lies behind them, float32 [M], and the features of those that
    touch, float32 [E, PAIR_FEATURES]."""
    look = Look.of(scene.prepared, scene.sensors)
    behind = surfaces_behind(scene.prepared, look)
    return look, behind, describe_pairs(scene.prepared, look, behind)


def describe(scene: ClickedScene, before: Shares | None, rows: slice) -> F32:
    """What a look knows of some super-voxels beside each click: float32 [m, J, F]."""
    own = scene.describe(rows)
    return own if before is None else np.concatenate([own, before.describe(rows)], axis=2)


def with_nobody(score: Tensor) -> Tensor:
    """Scores [m, J] and beside them 0 for nobody's object: [m, J + 1]."""
    return functional.pad(score, (0, 1))


def _blocks(count: int, clicks: int) -> Iterator[slice]:
    rows = max(1, PAIRS_AT_ONCE // clicks)
    for begin in range(0, count, rows):
        yield slice(begin, begin + rows)
