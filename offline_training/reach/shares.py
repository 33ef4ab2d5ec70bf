"""What a first look at a scene's clicks tells of each super-voxel's surroundings, for a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offline_training.reach.clicked import ClickedScene, symmetric
from otoc_ros.core.look import Look
from otoc_ros.core.propagation import log_softmax
from otoc_ros.core.scene_colours import SceneColours

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SHARE_FEATURES = 14
LEAST = 1e-4  # a share that counts as none
FAR = 20.0  # spreads of an object from its middle, from which all is as far
BLUR = 0.3  # super-voxel sizes added to an object's spread: one super-voxel has none
FLOOR = 1e-6  # no class is impossible, clicked in the scene or not
FEW = 4  # objects of a class in all scenes, from which there is a usual area


class Shares:
    """How a scene is shared among its clicks, as a first look finds it.

    Args:
        share: float32 [M, J], probability that each click's object has a super-voxel.
        usual: float64 [C], m², from `usual_areas`.
    """

    def __init__(self, scene: ClickedScene, share: F32, usual: F64) -> None:
        look, name = scene.look, scene.name
        of_class = class_shares(share, name, len(usual))
        near = _mean_of_touching(scene, scene.together**2, share)
        self._own = [
            np.log(share + LEAST),
            of_class[:, name],
            near,
            _mean_of_touching(scene, scene.together**2, near),
            _mean_of_touching(scene, np.ones(len(scene.pairs)), share),
            np.log(near + 1e-3),
            SceneColours(look).log_likelihood(of_class.astype(np.float32))[:, name],
        ]
        area = look.area[:, None] * share
        self._look, self._total = look, area.sum(axis=0) + 1e-9
        # Nobody knows what is usual of a class with few objects.
        self._known = np.isfinite(usual[name])
        self._unusual = np.nan_to_num(np.log((self._total + 1e-6) / usual[name]))
        self._mean = Means(area / self._total, look)

    def describe(self, rows: slice) -> F32:
        """Features of some super-voxels beside each click: float32 [m, J, SHARE_FEATURES]."""
        look, mean = self._look, self._mean
        own = [each[rows] for each in self._own]
        way = np.abs(look.center[rows, None] - mean.center)
        spread = mean.spread + BLUR * look.size
        seen = way.shape[:2]
        columns = [
            *own,
            np.broadcast_to(self._unusual, seen),
            np.broadcast_to(self._known, seen),
            np.minimum(np.sqrt(((way / spread) ** 2).sum(axis=2)), FAR),
            np.minimum(way[:, :, 2] / spread[:, 2], FAR),
            np.linalg.norm(look.ratio[rows, None] - mean.ratio, axis=2),
            np.abs(look.brightness[rows, None] - mean.brightness),
            np.broadcast_to(np.log(self._total / look.size**2), seen),
        ]
        return np.stack(columns, axis=2).astype(np.float32)


class Means:
    """Of each click's object: centre and spread [J, 3], colour ratios [J, 3] and brightness [J].

    Args:
        weight: float64 [M, J], sums to 1 over super-voxels.
    """

    def __init__(self, weight: F64, look: Look) -> None:
        self.center = weight.T @ look.center
        self.ratio, self.brightness = weight.T @ look.ratio, weight.T @ look.brightness
        square = weight.T @ (look.center.astype(np.float64) ** 2) - self.center**2
        self.spread = np.sqrt(np.maximum(square, 1e-6))


def _mean_of_touching(scene: ClickedScene, weight: F64, share: F32) -> F32:
    """Mean share of what touches each super-voxel: float32 [M, J], zero of what nothing touches."""
    graph = symmetric(scene.pairs, weight, len(share))
    total = np.asarray(graph.sum(axis=1)) + 1e-6
    return np.asarray((graph @ share) / total, np.float32)


def class_shares(share: F32, name: NDArray[np.int64], classes: int) -> F64:
    """Shares of the clicks of each class together: float64 [M, C]."""
    whole = np.zeros((len(share), classes))
    np.add.at(whole.T, name, share.T)
    return whole


def usual_areas(names: Sequence[NDArray[np.int64]], areas: Sequence[F64], classes: int) -> F64:
    """Median area of the objects of each class: float64 [C], m², NaN of classes with few.

    Args:
        names: int64 [J] of each scene, classes of its clicks; areas: float64 [J] of each scene,
            zero of what was not reached, which does not count.
    """
    name, area = np.concatenate([*names, []]), np.concatenate([*areas, []])
    usual = np.full(classes, np.nan)
    for each in np.unique(name[area > 0]).astype(int):
        known = area[(name == each) & (area > 0)]
        if len(known) >= FEW:
            usual[each] = np.median(known)
    return usual


def log_reach(share: F32, named: F64) -> F32:
    """Log-probabilities of the classes, float32 [M, C], from shares of clicks; what is nobody's
    may be of any class.

    Args:
        share: float32 [M, J]; named: float64 [J, C], probability of each class that a click's
            object is of it.
    """
    nobody = np.maximum(1 - share.sum(axis=1, keepdims=True), 0)
    whole = share @ named + nobody / named.shape[1] + FLOOR
    return log_softmax(np.log(whole).astype(np.float32))


def nothing_reached(count: int, classes: int) -> F32:
    """What is reached without clicks: every class alike, float32 [count, C]."""
    return np.full((count, classes), -np.log(classes), np.float32)
