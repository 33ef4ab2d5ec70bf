"""How well super-voxels keep to the objects: nothing here knows how they were made."""

from dataclasses import dataclass

import numpy as np

from otoc_ros.core.voxel_graph import voxel_graph
from otoc_ros.core.voxels import voxelize

PURE = 0.9  # share of a super-voxel that is the clicked object


@dataclass
class Tally:
    """Sums over the clouds of a group.

    IoU is accumulated over the whole group, never averaged over clouds.
    """

    classes: int
    both: np.ndarray
    either: np.ndarray
    leaked: int = 0
    labelled: int = 0
    cut: int = 0
    borders: int = 0
    pure: int = 0
    clicks: int = 0

    @classmethod
    def of(cls, classes: int) -> "Tally":
        return cls(classes, np.zeros(classes, np.int64), np.zeros(classes, np.int64))

    def add(self, ids, cloud) -> None:
        """One cloud and the super-voxel of every point; points of class -1 are not scored."""
        semantic, objects = cloud.semantic, cloud.objects
        known = semantic >= 0
        by_class = _table(ids[known], semantic[known], ids.max() + 1, self.classes)
        best = by_class.argmax(1)[ids[known]]
        right = np.bincount(best[best == semantic[known]], minlength=self.classes)
        self.both += right
        self.either += by_class.sum(0) + np.bincount(best, minlength=self.classes) - right
        by_object = _table(ids[known], objects[known], ids.max() + 1, objects.max() + 1)
        self.labelled += int(known.sum())
        self.leaked += int(known.sum() - by_object.max(1).sum())
        self._add_borders(ids, cloud.xyz, objects, known, cloud.voxel_size)
        clicked = ids[cloud.clicks]
        share = by_object[clicked, objects[cloud.clicks]] / by_object[clicked].sum(1)
        self.clicks += len(clicked)
        self.pure += int((share >= PURE).sum())

    def _add_borders(self, ids, xyz, objects, known, voxel_size) -> None:
        grid = voxelize(xyz, voxel_size)
        point = np.empty(len(grid.coords), np.int64)
        point[grid.voxel_of_point] = np.arange(len(xyz))  # one point stands for its voxel
        first, other = voxel_graph(grid.coords, grid.coords.astype(np.float32), 0, len(xyz))
        a = point[np.repeat(np.arange(len(first) - 1), np.diff(first))]
        b = point[other]
        border = (objects[a] != objects[b]) & known[a] & known[b]
        self.borders += int(border.sum())
        self.cut += int((ids[a] != ids[b])[border].sum())

    def row(self) -> dict[str, float]:
        seen = self.either > 0
        return {
            "oracle_miou": round(float((self.both[seen] / self.either[seen]).mean()), 4),
            "ue": round(100 * self.leaked / self.labelled, 4),
            "br": round(self.cut / max(self.borders, 1), 4),
            "pure_clicks": round(self.pure / max(self.clicks, 1), 4),
        }


def _table(rows, columns, height, width):
    return np.bincount(rows * np.int64(width) + columns, minlength=height * width).reshape(
        height, width
    )
