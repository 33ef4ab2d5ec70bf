"""A scan with the labels of a data set, and these as the truth of a site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.truth import Truth


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """One scan of a data set; z is up in all of them.

    Attributes:
        name: of the scan, usable as a scene's.
        cloud: N points.
        names: class names that `row` counts, as the data set has them.
        row: int [N], index into `names`, -1 = unlabelled; None: nothing is labelled.
        instance: int [N], number of the object, 0 = none.
    """

    name: str
    cloud: Cloud
    names: Sequence[str] = ()
    row: NDArray[Any] | None = None
    instance: NDArray[Any] | None = None

    def truth(self, classes: Sequence[ClassInfo]) -> tuple[Truth | None, list[str]]:
        """Truth in a site's classes, and the labelled classes that the site lacks.

        Points of classes that the site lacks are unknown; stuff has no instances.
        """
        if self.row is None:
            return None, []
        mine = {known.name.lower(): row for row, known in enumerate(classes)}
        table = np.array([*(mine.get(name.lower(), -1) for name in self.names), -1], np.int32)
        semantic = table[self.row]
        thing = np.array([*(known.kind == "thing" for known in classes), False])
        number = np.zeros(len(semantic), np.int32)
        if self.instance is not None:
            number[:] = np.where(thing[semantic], self.instance, 0)
        present = np.unique(self.row[self.row >= 0])
        lacking = sorted(self.names[row] for row in present if table[row] < 0)
        return Truth(semantic, number), lacking
