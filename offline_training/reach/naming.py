"""What each click's object is: what a person called it, or what it looks like by all clicks.

Of many clicks some name a wrong class. A forest learns from all clicks of a site how their objects
look, and each of them is judged by the trees that were not grown from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from offline_training.reach.clicked import ClickedScene
from offline_training.reach.model import ReachModel
from offline_training.reach.shares import Means
from offline_training.scenes import DOUBTED, Mark
from otoc_ros.core.propagation import log_softmax

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CLICKS_A_CLASS = 10  # on average, from which a forest knows what classes look like
TREES = 400
SMALLEST_LEAF = 2
SHARP = 2.0  # exponent of a forest's probabilities: it is more often right than it is sure
NONE = 5e-3  # a forest's probability that counts as none
FEW = 4  # clicks of a class, from which trees that were not grown from one of them know the others
FIRST_GUESS = 0.05  # of the share of clicks that name a wrong class …
BOUNDS = (1e-4, 0.2)  # … which lies in here …
TURNS = 20  # … and is found in so many turns
LOW, HIGH = 0.05, 0.95  # of an object's area, by height


@dataclass(frozen=True)
class Doubt:
    """A click whose object looks like those of another class.

    Attributes:
        scene: row of the scene; mark: row among its marks.
        said, looks_like: classes; probability: of the latter.
    """

    scene: int
    mark: int
    said: int
    looks_like: int
    probability: float


def describe_objects(scene: ClickedScene, model: ReachModel) -> F32:
    """How each click's object looks, whatever it is called: float32 [J, F].

    What a click has a share of depends on whether it names a thing, so both are looked at.
    """
    nameless = replace(scene, name=np.zeros_like(scene.name))
    extents = [
        model.share(replace(nameless, thing=np.full(len(scene.name), thing)))
        for thing in (True, False)
    ]
    # Squares: the many super-voxels that are hardly an object's are not to outweigh it.
    parts = [_of_extent(scene, share.astype(np.float64) ** 2) for share in extents]
    return np.concatenate([*parts, _of_place(scene)], axis=1).astype(np.float32)


def _of_extent(scene: ClickedScene, share: F64) -> F64:
    """Size, height, form and colour of what is each click's: float64 [J, F]."""
    look, height = scene.look, scene.height
    area = look.area[:, None] * share
    total = area.sum(axis=0) + 1e-9
    weight = (area / total).T
    mean = Means(area / total, look)
    spread = mean.spread
    order = np.argsort(height)
    below = np.cumsum(weight[:, order], axis=1)
    columns = [
        np.log(total),
        weight @ height,
        *(height[order][(below > part).argmax(axis=1)] for part in (LOW, HIGH)),
        *np.log([spread[:, 2], spread[:, :2].min(axis=1), spread[:, :2].max(axis=1)]),
        mean.brightness,
    ]
    turned = [weight @ np.abs(look.facing), weight @ look.facing[:, 2:], mean.ratio]
    return np.concatenate([np.stack(columns, axis=1), *turned], axis=1)


def _of_place(scene: ClickedScene) -> F32:
    """The clicked super-voxels themselves: float32 [J, F]."""
    look, place = scene.look, scene.place
    alone = [scene.height, look.facing[:, 2], look.brightness, np.log(look.area)]
    whole = np.concatenate([np.abs(look.facing), look.ratio], axis=1)
    return np.asarray(np.concatenate([np.stack(alone, axis=1), whole], axis=1)[place], np.float32)


def believed_names(features: F32, said: I64, classes: int) -> F64:
    """Probability of each class that an object is of it: float64 [J, C].

    P(class | look, said) ∝ P(class | look) · P(said | class), where a share of the clicks names any
    other class; the share is the one that explains itself. A class with few clicks is believed.

    Args:
        features: float32 [J, F] of all clicks of a site; said: int64 [J], their classes.
    """
    seen = _out_of_bag(features, said, classes)
    rows, share = np.arange(len(said)), FIRST_GUESS
    for _ in range(TURNS):
        slip = np.full(seen.shape, np.log(share / max(classes - 1, 1)))
        slip[rows, said] = np.log(1 - share)
        named = np.exp(log_softmax(SHARP * np.log(seen + NONE) + slip))
        share = float(np.clip(1 - named[rows, said].mean(), *BOUNDS))
    few = np.bincount(said, minlength=classes)[said] < FEW
    named[few] = np.eye(classes)[said[few]]
    return named


def _out_of_bag(features: F32, said: I64, classes: int) -> F64:
    forest = RandomForestClassifier(
        TREES, min_samples_leaf=SMALLEST_LEAF, oob_score=True, random_state=0
    )
    forest.fit(features, said)
    seen = np.zeros((len(said), classes))
    seen[:, forest.classes_] = np.nan_to_num(forest.oob_decision_function_)
    return seen


def doubts(scene: int, marks: Sequence[Mark], named: F64) -> list[Doubt]:
    """The clicks of a scene whose objects look like another class than was said.

    Args:
        scene: its row. named: float64 [J, C] of its marks other than those that exclude.
    """
    rows = [row for row, mark in enumerate(marks) if mark.names]
    return [
        Doubt(scene, row, marks[row].class_id, int(of.argmax()), round(float(of.max()), 3))
        for row, of in zip(rows, named, strict=True)
        if of.argmax() != marks[row].class_id
    ]


def renamed(marks: Sequence[Mark], doubted: Sequence[Doubt]) -> tuple[Mark, ...]:
    """Marks of a scene, of which some are doubted: those name what their object looks like."""
    result = list(marks)
    for doubt in doubted:
        result[doubt.mark] = replace(marks[doubt.mark], kind=DOUBTED, class_id=doubt.looks_like)
    return tuple(result)
