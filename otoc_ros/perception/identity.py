"""Which object of this cloud is which of the clouds before: ids that stay, a step with state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import linear_sum_assignment

from otoc_ros.core.cloud import Cloud
from otoc_ros.perception.pipeline import LabelledCloud

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CELL_BITS = 21  # an axis; cells are counted from the common frame's origin, either way
MOST_POINTS = 30_000  # of all objects of a cloud together; more would tell no more


class IdentitySettings(BaseModel):
    """When an object is taken for one that was seen before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: float = Field(default=0.05, gt=0, description="edge of the cells compared, metres")
    memory: float = Field(default=60.0, gt=0, description="seconds a lost object is waited for")
    least: float = Field(default=0.2, ge=0, le=1, description="likeness below which it is another")
    other_class: float = Field(default=0.5, ge=0, le=1, description="factor where classes differ")
    reach: float = Field(
        default=2.0, ge=0, description="how far a centre moves between clouds, in diagonals"
    )


@dataclass(eq=False)
class _Track:
    """An object: where it was seen (cells int64 [K], sorted, and when each was seen last), its box
    in the common frame, and the scores that each class collected."""

    id: int
    cells: I64
    seen_at: F64
    center: F64
    size: float
    last: float
    votes: F64


class SteadyIdentity:
    """Renames the objects of consecutive clouds so that the same object keeps its id.

    Objects are compared by the cells that they cover in a frame that does not move with the sensor,
    and a track keeps every cell that was seen of it: an object that is half hidden, or seen from
    another side, still lies within. Where nothing overlaps, the distance of the centres decides for
    tracks that the cloud before showed: a small object that is carried along. The best
    assignment of all pairs wins (Hungarian method). Ids count up, so the id of an object that is
    gone is never given to another one.
    """

    def __init__(self, classes: int, settings: IdentitySettings | None = None) -> None:
        self.settings = settings or IdentitySettings()
        self._classes = classes
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._previous = -np.inf

    def __call__(
        self, cloud: Cloud, labelled: LabelledCloud, stamp: float, pose: F64 | None = None
    ) -> LabelledCloud:
        """The same labels under steady ids.

        Args:
            cloud: the N points that were labelled.
            stamp: seconds. One that is before the last begins anew: a bag was started again.
            pose: float64 [4, 4], T_common_cloud, of a frame that does not move with the sensor;
                None where the sensor stands still, or moves little from cloud to cloud.
        """
        if stamp < self._previous:
            self._tracks.clear()
        pose = np.eye(4) if pose is None else np.asarray(pose, np.float64)
        seen = self._observe(cloud, labelled, stamp, pose)
        fresh = self._previous
        self._previous = stamp
        self._tracks = [t for t in self._tracks if stamp - t.last <= self.settings.memory]
        ids = np.zeros(len(seen) + 1, np.int32)
        for row, column in self._pairs(seen, fresh):
            self._continue(self._tracks[column], seen[row], stamp)
            ids[row + 1] = self._tracks[column].id
        for row, track in enumerate(seen, start=1):
            if ids[row] == 0:
                track.id = ids[row] = self._next_id
                self._next_id += 1
                self._tracks.append(track)
        return replace(
            labelled,
            instance=ids[labelled.instance],
            objects=[replace(found, id=int(ids[found.id])) for found in labelled.objects],
        )

    def _observe(
        self, cloud: Cloud, labelled: LabelledCloud, stamp: float, pose: F64
    ) -> list[_Track]:
        """The objects of a cloud as tracks without an id, in the order of their numbers."""
        rows = np.flatnonzero(labelled.instance > 0)
        rows = rows[:: len(rows) // MOST_POINTS + 1]
        points = cloud.xyz[rows].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        number = labelled.instance[rows]
        order = np.argsort(number, kind="stable")
        ends = np.searchsorted(number[order], np.arange(1, len(labelled.objects) + 2))
        cells = _cells(points, self.settings.cell)
        seen = []
        for row, found in enumerate(labelled.objects):
            mine = order[ends[row] : ends[row + 1]]
            own = np.unique(cells[mine])
            votes = np.zeros(self._classes)
            votes[found.class_id] = found.score
            center = pose[:3, :3] @ found.box.center + pose[:3, 3]
            size = float(np.linalg.norm(found.box.extent))
            seen.append(_Track(0, own, np.full(len(own), stamp), center, size, stamp, votes))
        return seen

    def _pairs(self, seen: list[_Track], fresh: float) -> list[tuple[int, int]]:
        if not seen or not self._tracks:
            return []
        likeness = np.array([[self._likeness(a, b, fresh) for b in self._tracks] for a in seen])
        rows, columns = linear_sum_assignment(-likeness)
        enough = likeness[rows, columns] >= self.settings.least
        return list(zip(rows[enough].tolist(), columns[enough].tolist(), strict=True))

    def _likeness(self, seen: _Track, track: _Track, fresh: float) -> float:
        """0..1; `fresh` is the time of the cloud before."""
        settings = self.settings
        distance = float(np.linalg.norm(seen.center - track.center))
        if distance > seen.size + track.size or not len(seen.cells) or not len(track.cells):
            return 0.0
        common = len(np.intersect1d(seen.cells, track.cells, assume_unique=True))
        # The first share is 1 for a part of the object, the second prefers the larger of two parts.
        shares = common / min(len(seen.cells), len(track.cells)), common / len(track.cells)
        likeness = sum(shares) / 2
        if likeness == 0 and track.last == fresh:
            farthest = max(settings.reach * (seen.size + track.size) / 2, 1e-9)
            likeness = max(0.0, 0.5 * (1 - distance / farthest))
        same = seen.votes.argmax() == track.votes.argmax()
        return likeness * (1.0 if same else settings.other_class)

    def _continue(self, track: _Track, seen: _Track, stamp: float) -> None:
        """Add what a cloud showed of an object to what is known of it."""
        again = np.isin(track.cells, seen.cells, assume_unique=True)
        # Where nothing was seen again the object was moved, and its old place is free.
        old = ~again & again.any() & (stamp - track.seen_at <= self.settings.memory)
        cells = np.concatenate([track.cells[old], seen.cells])
        seen_at = np.concatenate([track.seen_at[old], seen.seen_at])
        order = np.argsort(cells)
        track.cells, track.seen_at = cells[order], seen_at[order]
        track.center, track.size, track.last = seen.center, seen.size, stamp
        track.votes += seen.votes


def _cells(points: F64, edge: float) -> I64:
    """One number for the cell of each point: int64 [N]."""
    half = 2 ** (CELL_BITS - 1)
    place = np.clip(np.floor(points / edge), -half, half - 1).astype(np.int64) + half
    packed: I64 = (place[:, 0] << 2 * CELL_BITS) | (place[:, 1] << CELL_BITS) | place[:, 2]
    return packed
