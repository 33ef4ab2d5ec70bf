"""Which object of this cloud is which of the clouds before: ids that stay, a step with state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import linear_sum_assignment

from otoc_ros.core.cloud import Cloud
from otoc_ros.perception.pipeline import LabelledCloud

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CELL_BITS = 21  # an axis; cells are counted from the common frame's origin, either way
LATE = 1.0  # seconds; a cloud may come that much out of order
MOST_POINTS = 30_000  # of all objects of a cloud together; more would tell no more


class IdentitySettings(BaseModel):
    """When an object is taken for one that was seen before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: float = Field(default=0.05, gt=0, description="edge of the cells compared, metres")
    memory: float = Field(default=60.0, gt=0, description="seconds a lost object is waited for")
    least: float = Field(default=0.2, ge=0, le=1, description="likeness below which it is another")
    other_class: float = Field(default=0.5, ge=0, le=1, description="factor where classes differ")
    behind: float = Field(default=0.5, ge=0, le=1, description="likeness of one within the other")
    reach: float = Field(
        default=2.0, ge=0, description="how far a centre moves between clouds, in diagonals"
    )


@dataclass(eq=False)
class _Track:
    """An object in the common frame: where it was seen (cells int64 [K], sorted, when each was seen
    last, and the corners of what spans them, float64 [2, 3]), the centre and the diagonal of its
    box in the last view, and the scores that each class collected."""

    id: int
    cells: I64
    seen_at: F64
    span: F64
    center: F64
    size: float
    last: float
    votes: Counter[int]


class SteadyIdentity:
    """Renames the objects of consecutive clouds so that the same object keeps its id.

    Objects are compared by the cells that they cover in a frame that does not move with the sensor,
    and a track keeps every cell that was seen of it: an object that is half hidden, or seen from
    another side, still lies within. Where nothing overlaps, the distance of the centres decides for
    tracks that the cloud before showed: a small object that is carried along. The best
    assignment of all pairs wins (Hungarian method). Ids count up, so the id of an object that is
    gone is never given to another one. Safe to use from several threads.
    """

    def __init__(self, settings: IdentitySettings | None = None) -> None:
        self.settings = settings or IdentitySettings()
        self._lock = Lock()
        self._tracks: list[_Track] = []
        self._next_id = 1
        self._previous = -np.inf

    def forget(self) -> None:
        """Take every object of the next cloud for a new one, as after another bundle was loaded."""
        with self._lock:
            self._tracks.clear()
            self._previous = -np.inf

    def __call__(
        self, cloud: Cloud, labelled: LabelledCloud, stamp: float, pose: F64 | None = None
    ) -> LabelledCloud:
        """The same labels under steady ids.

        Args:
            cloud: the N points that were labelled.
            stamp: seconds. Where it jumps back, all begins anew: a bag was started again.
            pose: float64 [4, 4], T_common_cloud, of a frame that does not move with the sensor;
                None where the sensor stands still, or moves little from cloud to cloud.
        """
        with self._lock:
            if stamp < self._previous - LATE:
                self._tracks.clear()
                self._previous = stamp
            stamp = max(stamp, self._previous)
            fresh, self._previous = self._previous, stamp
            self._tracks = [t for t in self._tracks if stamp - t.last <= self.settings.memory]
            seen = self._observe(cloud, labelled, stamp, pose)
            pairs = dict(self._pairs(seen, self._tracks, fresh))
            ids = []
            for row, track in enumerate(seen):
                if row in pairs:
                    self._continue(self._tracks[pairs[row]], track, stamp)
                    ids.append(self._tracks[pairs[row]].id)
                else:
                    ids.append(self._begin(track))
        return _renamed(labelled, ids)

    def again(
        self, cloud: Cloud, labelled: LabelledCloud, before: LabelledCloud, pose: F64 | None = None
    ) -> LabelledCloud:
        """Labels that an earlier cloud got later, under the ids that it was shown with.

        Its objects have the ids of those that they share most points with; what was no object then
        gets a new id, by which the following clouds know it. No track moves back in time.

        Args:
            cloud, pose: as for a call. labelled: its labels now.
            before: its labels when it was shown.
        """
        ids = [0] * len(labelled.objects)
        shared = _shared_points(labelled, before)
        for row, column in zip(*linear_sum_assignment(-shared), strict=True):
            if shared[row, column] > 0:
                ids[row] = before.objects[column].id
        with self._lock:
            seen = self._observe(cloud, labelled, self._previous, pose)
            for row, track in enumerate(seen):
                if ids[row] == 0:
                    ids[row] = self._begin(track)
        return _renamed(labelled, ids)

    def _begin(self, track: _Track) -> int:
        track.id, self._next_id = self._next_id, self._next_id + 1
        self._tracks.append(track)
        return track.id

    def _observe(
        self, cloud: Cloud, labelled: LabelledCloud, stamp: float, pose: F64 | None
    ) -> list[_Track]:
        """The objects of a cloud as tracks without an id, in the order of their numbers."""
        pose = np.eye(4) if pose is None else np.asarray(pose, np.float64)
        rows = np.flatnonzero(labelled.instance > 0)
        first = np.zeros(len(labelled.objects) + 1, np.int64)
        first[labelled.instance[rows[::-1]]] = rows[::-1]  # of the smallest object, too, a point
        rows = np.union1d(rows[:: len(rows) // MOST_POINTS + 1], first[1:])
        points = cloud.xyz[rows].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        number = labelled.instance[rows]
        order = np.argsort(number, kind="stable")
        ends = np.searchsorted(number[order], np.arange(1, len(labelled.objects) + 2))
        cells = _cells(points, self.settings.cell)
        seen = []
        for row, found in enumerate(labelled.objects):
            mine = order[ends[row] : ends[row + 1]]
            own = np.unique(cells[mine])
            span = np.array([points[mine].min(axis=0), points[mine].max(axis=0)])
            center = pose[:3, :3] @ found.box.center + pose[:3, 3]
            size = float(np.linalg.norm(found.box.extent))
            votes = Counter({found.class_id: found.score})
            times = np.full(len(own), stamp)
            seen.append(_Track(0, own, times, span, center, size, stamp, votes))
        return seen

    def _pairs(
        self, seen: list[_Track], tracks: list[_Track], fresh: float
    ) -> list[tuple[int, int]]:
        if not seen or not tracks:
            return []
        likeness = self._likeness(seen, tracks, fresh)
        rows, columns = linear_sum_assignment(-likeness)
        enough = likeness[rows, columns] >= self.settings.least
        return list(zip(rows[enough].tolist(), columns[enough].tolist(), strict=True))

    def _likeness(self, seen: list[_Track], tracks: list[_Track], fresh: float) -> F64:
        """0..1, float64 [K, L]; `fresh` is the time of the cloud before."""
        settings = self.settings
        likeness = settings.behind * self._overlap(seen, tracks)
        # The distance of centres, for what moved since the cloud before.
        apart = np.array([each.center for each in seen])[:, None] - [t.center for t in tracks]
        sizes = np.array([each.size for each in seen])[:, None] + [t.size for t in tracks]
        near = 1 - np.linalg.norm(apart, axis=2) / np.maximum(settings.reach * sizes / 2, 1e-9)
        near[:, [track.last != fresh for track in tracks]] = 0
        carried = np.maximum(near / 2, likeness)
        for row, column in np.argwhere(likeness > 0).tolist():
            one, other = seen[row].cells, tracks[column].cells
            common = len(np.intersect1d(one, other, assume_unique=True))
            if common:
                # The first share is 1 for a part of the object, the second prefers the larger of
                # two parts. From behind, no cell that was seen from the front is seen again.
                shares = common / min(len(one), len(other)), common / len(other)
                carried[row, column] = max(sum(shares) / 2, likeness[row, column])
        names = np.array([each.votes.most_common(1)[0][0] for each in seen])[:, None]
        same = names == [track.votes.most_common(1)[0][0] for track in tracks]
        result: F64 = carried * np.where(same, 1.0, settings.other_class)
        return result

    def _overlap(self, seen: list[_Track], tracks: list[_Track]) -> F64:
        """Shared volume of spans, each a cell wider, as a share of the smaller: float64 [K, L]."""
        half = self.settings.cell / 2
        one = np.array([each.span for each in seen])[:, None]
        other = np.array([each.span for each in tracks])[None]
        low = np.maximum(one[..., 0, :], other[..., 0, :]) - half
        high = np.minimum(one[..., 1, :], other[..., 1, :]) + half
        shared = np.maximum(high - low, 0).prod(axis=-1)
        volumes = [(each[..., 1, :] - each[..., 0, :] + 2 * half).prod(-1) for each in (one, other)]
        share: F64 = shared / np.minimum(*volumes)
        return share

    def _continue(self, track: _Track, seen: _Track, stamp: float) -> None:
        """Add what a cloud showed of an object to what is known of it."""
        # Where it overlaps nothing of old the object was moved, and its old place is free.
        stays = self._overlap([seen], [track]).any()
        again = np.isin(track.cells, seen.cells, assume_unique=True)
        old = ~again & stays & (stamp - track.seen_at <= self.settings.memory)
        cells = np.concatenate([track.cells[old], seen.cells])
        seen_at = np.concatenate([track.seen_at[old], seen.seen_at])
        order = np.argsort(cells)
        track.cells, track.seen_at = cells[order], seen_at[order]
        spans = np.stack([track.span, seen.span]) if stays else seen.span[None]
        track.span = np.stack([spans[:, 0].min(axis=0), spans[:, 1].max(axis=0)])
        track.center, track.size, track.last = seen.center, seen.size, stamp
        track.votes.update(seen.votes)


def _renamed(labelled: LabelledCloud, ids: list[int]) -> LabelledCloud:
    """The labels with object 1, 2, … under the ids given."""
    name = np.array([0, *ids], np.int32)
    return replace(
        labelled,
        instance=name[labelled.instance],
        objects=[replace(found, id=int(name[found.id])) for found in labelled.objects],
    )


def _shared_points(labelled: LabelledCloud, before: LabelledCloud) -> I64:
    """Points that objects of the same cloud have in common: int64 [K, L]."""
    column = {found.id: number for number, found in enumerate(before.objects, start=1)}
    ids, of_point = np.unique(before.instance, return_inverse=True)
    columns = np.array([column.get(int(each), 0) for each in ids])[of_point]
    shape = len(labelled.objects) + 1, len(before.objects) + 1
    shared = np.zeros(shape, np.int64)
    np.add.at(shared, (labelled.instance, columns), 1)
    return shared[1:, 1:]


def _cells(points: F64, edge: float) -> I64:
    """One number for the cell of each point: int64 [N]."""
    half = 2 ** (CELL_BITS - 1)
    place = np.clip(np.floor(points / edge), -half, half - 1).astype(np.int64) + half
    packed: I64 = (place[:, 0] << 2 * CELL_BITS) | (place[:, 1] << CELL_BITS) | place[:, 2]
    return packed
