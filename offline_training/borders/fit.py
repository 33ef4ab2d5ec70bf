"""Learning what parts objects, from clouds whose objects are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from offline_training.borders.shipped import new_borders
from offline_training.scenes import majority
from offline_training.scorer import Scorer, Track, descend
from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.seen_borders import describe_seen_borders

STEPS, BORDERS = 5000, 1024  # steps, and borders of each kind of place in each
# Times that a border between objects counts: few are, and one that is missed joins two for good.
APART = 7.0
WEIGHT_DECAY = 0.1


class KnownBorders(NamedTuple):
    """E borders between super-voxels of objects: as `describe_seen_borders` describes them,
    float32 [E, F], and whether one object has both sides, bool [E]."""

    described: NDArray[np.float32]
    same: NDArray[np.bool_]


def known_borders(prepared: Prepared, instance: NDArray[np.int32]) -> KnownBorders:
    """The borders of a cloud with an object on either side.

    What is a thing and what is stuff is told by its class, so borders of stuff teach nothing here:
    with them, things in rooms of furniture that was not learnt were parted worse (AUC 0.85 for
    0.90).

    Args:
        instance: int32 [N], object of each point, 0 = none or unknown.
    """
    of_voxel = majority(instance, prepared.voxel_of_point, len(prepared.xyz))
    number = majority(of_voxel, prepared.supervoxel, prepared.n_supervoxels)
    sides = number[prepared.borders.pairs]
    both = (sides > 0).all(axis=1)
    return KnownBorders(describe_seen_borders(prepared)[both], (sides[:, 0] == sides[:, 1])[both])


def fit_borders(places: Sequence[Sequence[KnownBorders]], seed: int, track: Track) -> Scorer:
    """Learn a network; the same clouds and seed give the same one on a CPU.

    Args:
        places: the clouds of each kind of place; each kind counts as much.
        track: wraps the steps, as `rich.progress.track` does.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    kinds = [KnownBorders(*map(np.concatenate, zip(*clouds, strict=True))) for clouds in places]
    net = new_borders()
    net.standardise(np.concatenate([kind.described for kind in kinds]))

    def loss() -> Tensor:
        rows = [rng.integers(len(kind.same), size=BORDERS) for kind in kinds]
        chosen = list(zip(kinds, rows, strict=True))
        described = np.concatenate([kind.described[some] for kind, some in chosen])
        same = torch.from_numpy(np.concatenate([kind.same[some] for kind, some in chosen]))
        score = net(torch.from_numpy(described))
        weight = torch.where(same, 1.0, APART)
        return functional.binary_cross_entropy_with_logits(score, same.float(), weight)

    descend(net, loss, STEPS, track, WEIGHT_DECAY)
    return net.eval()
