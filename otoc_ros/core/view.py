"""What a single view of a place sees, ray by ray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.compiled import compiled
from otoc_ros.core.preprocess import Prepared

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

MOST_CELLS = 4_000_000  # of the image of all directions
WIDEST_VOXEL = 4  # cells to each side that a near voxel is drawn over at most
SCAN = 0.25  # share of voxels that others hide, from which a cloud is no view from its origin;
# views of tables have 0.03, of simulated rooms up to 0.14, a box seen all around 0.4, rooms 0.8
SURELY = 15.0  # voxels before them: a floor that is seen at a low angle goes on nearer, too
AROUND = 3.0  # voxels around a sensor in which nothing is seen
MOST_RAYS = 30_000  # voxels that tell whether a cloud is a view


class View:
    """What a sensor in the origin of the cloud's frame sees: the nearest range on every ray.

    The image spans all directions, with what the sensor mostly looks at far from its poles.

    Attributes:
        origin: float64 [3], where the sensor stands, in the frame of `prepared.xyz`.
        image: float64 [rows, columns], metres, inf where nothing was seen.
    """

    @classmethod
    def of(cls, prepared: Prepared) -> View | None:
        """The view that a cloud is; None where many voxels hide each other from the origin or lie
        around it: a fused scan, or a cloud in a frame that does not lie in its sensor."""
        every = -(-len(prepared.xyz) // MOST_RAYS)
        rough = cls(prepared, every)
        nearest, far = rough.image[rough.row, rough.column], rough.range
        if far.min() < AROUND * prepared.settings.voxel_size:
            return None
        if (nearest < far - SURELY * prepared.settings.voxel_size).mean() >= SCAN:
            return None
        return rough if every == 1 else cls(prepared)

    def __init__(self, prepared: Prepared, every: int = 1) -> None:
        self.origin = -np.asarray(prepared.grid.origin, np.float64)  # only turned by aligning
        self.voxel_size = prepared.settings.voxel_size * np.sqrt(every)  # what one stands for
        way = prepared.xyz[::every] - self.origin
        self.range = np.linalg.norm(way, axis=1)
        self.axes = _axes_toward(way.mean(axis=0))
        finest = np.sqrt(2 * np.pi**2 / MOST_CELLS)
        self.cell = max(self.voxel_size / max(float(np.median(self.range)), 1e-9), finest)
        self.row, self.column = self._cell_of(way)
        self.image = _range_image(
            self.row,
            self.column,
            self.range,
            int(np.pi / self.cell) + 1,
            int(2 * np.pi / self.cell) + 1,
            self.voxel_size / (2 * self.cell),
        )

    def nearest(self, xyz: F64) -> tuple[F64, F64]:
        """Range of the nearest voxel on the ray to each place, inf without one, and of the place
        itself: float64 [P] each."""
        way = xyz - self.origin
        return self.image[self._cell_of(way)], np.linalg.norm(way, axis=1)

    def _cell_of(self, way: F64) -> tuple[I64, I64]:
        ahead, left, up = self.axes @ way.T
        row = (np.arctan2(up, np.hypot(ahead, left)) + np.pi / 2) / self.cell
        column = (np.arctan2(left, ahead) + np.pi) / self.cell
        return row.astype(np.int64), column.astype(np.int64)


def _axes_toward(way: F64) -> F64:
    """Ahead, left and up of who looks along a way: float64 [3, 3], orthonormal rows."""
    frame, _ = np.linalg.qr(np.column_stack([way, np.eye(3)]))
    axes: F64 = frame.T * (np.sign(frame[:, 0] @ way) or 1)
    return axes


@compiled
def _range_image(row, column, range_, rows, columns, half):  # type: ignore[no-untyped-def]
    """Nearest range in each cell, inf without one, each voxel drawn as large as it is seen: `half`
    over its range is half a voxel in cells."""
    image = np.full((rows, columns), np.inf)
    for i in range(len(row)):
        beside = min(int(half / range_[i] + 0.5), WIDEST_VOXEL) if range_[i] > 0 else WIDEST_VOXEL
        for r in range(max(row[i] - beside, 0), min(row[i] + beside + 1, rows)):
            for c in range(column[i] - beside, column[i] + beside + 1):
                around = c % columns
                image[r, around] = min(image[r, around], range_[i])
    return image
