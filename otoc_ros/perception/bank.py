"""The run-time bank: what a person taught a running robot, on top of the bundle's prototypes.

A class that the U-Net has no logit for, and a click that contradicts the networks, are decided by
similarity to the embeddings that were clicked, outside the product P_Θ · P_R.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from otoc_ros.perception.place import Place
from otoc_ros.site.classes import ClassInfo

# σ_f² / 2σ_c² for σ of the embedding 0.5 and of colour 0.15, as propagation has them.
COLOUR_WEIGHT = 5.6
AT_PLACE = 0.5  # of what is left to 1 beyond a threshold, for what stands where it was clicked

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one click taught.

    Attributes:
        click: its id. scene: the scene of the site that keeps the click.
        class_name: what the person said it is.
        embedding: float32 [k, d], unit vectors of the super-voxels it was said of.
        colour: float32 [k, 3], their mean colours in 0..1; NaN where the cloud had none.
        threshold: likeness from which another super-voxel is taken for the same.
        place: where it stands, as long as the process runs; None where no frame that stands still
            is known.
    """

    click: str
    scene: str
    class_name: str
    embedding: F32
    colour: F32
    threshold: float
    place: Place | None = None


@dataclass(frozen=True, eq=False)
class Bank:
    """Classes and lessons of one bundle. A value: teaching and forgetting give another bank.

    Attributes:
        known: the C classes of the bundle.
        start: float32 [C, d], their exported prototypes.
        added: classes that lessons brought; their ids follow those of the bundle.
        lessons: in the order in which they were given.
    """

    known: tuple[ClassInfo, ...]
    start: F32
    added: tuple[ClassInfo, ...] = ()
    lessons: tuple[Lesson, ...] = ()

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """All C' classes, by id."""
        return self.known + self.added

    @cached_property
    def thing(self) -> NDArray[np.bool_]:
        """Whether a class has objects: bool [C']."""
        return np.array([known.kind == "thing" for known in self.classes])

    @cached_property
    def prototypes(self) -> F32:
        """The bank as the propagator takes it: float32 [C + rows of all lessons, d]."""
        return np.concatenate([self.start, *(lesson.embedding for lesson in self.lessons)])

    def taught(self, lesson: Lesson, info: ClassInfo) -> Bank:
        """The bank with one more lesson, and with its class where that is new.

        Args:
            info: of the class that the lesson names.
        """
        names = {known.name for known in self.classes}
        added = self.added if info.name in names else (*self.added, info)
        return replace(self, added=added, lessons=(*self.lessons, lesson))

    def forgotten(self, click: str) -> Bank:
        """The bank without the lesson of one click, and without classes at the end of the table
        that no lesson names any more."""
        lessons = tuple(lesson for lesson in self.lessons if lesson.click != click)
        named = {lesson.class_name for lesson in lessons}
        added = self.added
        while added and added[-1].name not in named:
            added = added[:-1]
        return replace(self, added=added, lessons=lessons)

    def decide(self, probability: F32, beyond: F32) -> F32:
        """Class probabilities under the lessons.

        A super-voxel goes to the lesson that it exceeds the threshold of by the largest share; the
        class's probability is 1 for the clicked embedding itself and 1/2 at the threshold.

        Args:
            probability: float32 [M, C], what the networks and the propagation believe.
            beyond: float32 [M, rows of all lessons], from `beyond_threshold`.

        Returns:
            float32 [M, C'], rows sum to 1.
        """
        count = len(probability)
        belief = np.zeros((count, len(self.classes)), np.float32)
        belief[:, : len(self.known)] = probability
        if not self.lessons:
            return belief
        row_class = self._rows[0]
        best = beyond.argmax(axis=1)
        strength = beyond[np.arange(count), best]
        said = np.flatnonzero(strength >= 0)
        certain = 0.5 + 0.5 * np.minimum(strength[said], 1)
        winner = row_class[best[said]]
        rest = belief[said]
        rest[np.arange(len(said)), winner] = 0
        rest *= ((1 - certain) / np.maximum(rest.sum(axis=1), 1e-12))[:, None]
        rest[np.arange(len(said)), winner] = certain
        belief[said] = rest / rest.sum(axis=1, keepdims=True)
        return belief

    def beyond_threshold(
        self, similarity: F32, colour: F32, there: NDArray[np.int8] | None = None
    ) -> F32:
        """By how much of what is left to 1 the threshold of each lesson's row is exceeded: float32
        [M, rows of all lessons]; a lesson decides where that is 0 or more.

        Args:
            similarity: float32 [M, B], cosines to the rows of `prototypes`.
            colour: float32 [M, 3], mean colours in 0..1; NaN where the cloud has none.
            there: int8 [M, lessons], what stands at the place of each, from `standing_at`; where a
                place is known it decides, not the looks.
        """
        if not self.lessons:
            return np.empty((len(similarity), 0), np.float32)
        _, threshold, row_colour = self._rows
        alike = likeness(similarity[:, len(self.start) :], colour, row_colour)
        beyond: F32 = (alike - threshold) / np.maximum(1 - threshold, 1e-6)
        if there is not None:
            sizes = [len(lesson.embedding) for lesson in self.lessons]
            placed = np.repeat(there, sizes, axis=1)
            beyond[placed == 0] = -1
            beyond[placed == 1] = np.maximum(beyond[placed == 1], AT_PLACE)
        return beyond

    @cached_property
    def _rows(self) -> tuple[I32, F32, F32]:
        """Class, threshold and colour of each row that a lesson added."""
        ids = {known.name: row for row, known in enumerate(self.classes)}
        sizes = [len(lesson.embedding) for lesson in self.lessons]
        row_class = np.repeat([ids[lesson.class_name] for lesson in self.lessons], sizes)
        threshold = np.repeat([lesson.threshold for lesson in self.lessons], sizes)
        colour = np.concatenate([lesson.colour for lesson in self.lessons])
        return row_class.astype(np.int32), threshold.astype(np.float32), colour


def likeness(similarity: F32, colour: F32, of: F32) -> F32:
    """How alike super-voxels are to the rows of lessons: 1 for the same, without lower bound.

    The exponent of the paper's pairwise term (eq. 5) over embedding and colour, in units of the
    cosine: two unit vectors are ‖f - k‖² = 2 (1 - cos) apart. The embedding tells classes apart
    that training had; of a class that it had not, colour tells more.

    Args:
        similarity: float32 [M, B], cosines. colour: float32 [M, 3]; of: float32 [B, 3]. Where one
            of two has no colour (NaN), the embedding alone decides.
    """
    apart = ((colour[:, None] - of[None]) ** 2).sum(axis=2)
    result: F32 = similarity - np.float32(COLOUR_WEIGHT) * np.nan_to_num(apart)
    return result
