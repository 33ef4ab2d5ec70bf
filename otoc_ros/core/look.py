"""How super-voxels look, and what it costs to step from one to another that touches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from otoc_ros.core.preprocess import Prepared
from otoc_ros.core.supervoxels import pool

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# What a step between two super-voxels that touch costs. Chosen on rooms of train and dev furniture
# that no result stands on. Shadows change brightness more than they change ratios of colours.
BRIGHTNESS_SHARE = 0.35  # of a change of mean brightness (0..1), beside that of the colour ratios
DIRECTION_SHARE = 0.1  # of a change of the normal tensor
CREASE = 0.15  # of a concave bend: one thing stands on or against another
FORWARD = 0.1  # for a parallel face that lies a voxel or more in front
LEVEL = 0.7  # z of a normal from which a surface is level
PARALLEL = 4  # power of the cosine between faces that still count as parallel
DARK = 0.2  # added to the brightness that ratios divide by: dark colours are noise


@dataclass(frozen=True, eq=False)
class Look:
    """Mean look of M super-voxels.

    Attributes:
        center: float32 [M, 3], metres.
        direction: float32 [M, 6], mean of the normal tensor n nᵀ, √2 off its diagonal.
        facing: float32 [M, 3], mean normal on the side that was seen; of unit length where the
            surface is flat, zero where nobody knows the side.
        ratio: float32 [M, 3], colours over their mean and DARK; brightness: float32 [M]. Zero
            without colour.
        area: float64 [M], square metres.
        voxel_size, size: of a voxel and of a super-voxel, metres.
    """

    center: F32
    direction: F32
    facing: F32
    ratio: F32
    brightness: F32
    area: F64
    voxel_size: float
    size: float

    @classmethod
    def of(cls, prepared: Prepared, sensors: F32 | None = None) -> Look:
        """How the super-voxels of a cloud look.

        Args:
            sensors: float32 [S, 3], where the cloud was seen from, relative to the grid's origin;
                without any only what is level has a side: it counts as seen from above,
                ceilings, too.
        """

        def pooled(values: F32) -> F32:
            return pool(values, prepared.supervoxel, prepared.n_supervoxels)

        normal = prepared.normal
        x, y, z = normal.T
        root = np.float32(np.sqrt(2))
        tensor = [x * x, y * y, z * z, root * x * y, root * x * z, root * y * z]
        black = np.zeros_like(prepared.xyz)
        rgb = pooled(black if prepared.rgb is None else prepared.rgb)
        brightness = rgb.mean(axis=1)
        voxels = np.bincount(prepared.supervoxel, minlength=prepared.n_supervoxels)
        return cls(
            center=pooled(prepared.xyz),
            direction=pooled(np.column_stack(tensor)),
            facing=pooled(facing(prepared, sensors)),
            ratio=rgb / (brightness[:, None] + np.float32(DARK)),
            brightness=brightness,
            area=voxels.astype(np.float64) * prepared.settings.voxel_size**2,
            voxel_size=prepared.settings.voxel_size,
            size=prepared.settings.supervoxel_size,
        )

    def step(self, one: I32, other: I32) -> F64:
        """What it costs to go between super-voxels that touch: float64 [pairs]."""
        turned = np.linalg.norm(self.direction[one] - self.direction[other], axis=1)
        bent = CREASE * self._concave(one, other)
        shape = DIRECTION_SHARE * turned + bent + self._forward(one, other)
        return np.asarray(self.unlike_colour(one, other) + shape, np.float64)

    def _concave(self, one: I32, other: I32) -> F64:
        """How concave the creases between super-voxels are, 0..2: float64 [pairs]. They part what
        convex edges do not (LCCP, CVPR 2014)."""
        way = (self.center[other] - self.center[one]).astype(np.float64)
        way /= np.linalg.norm(way, axis=1, keepdims=True) + 1e-9
        bend = (way * (self.facing[other] - self.facing[one])).sum(axis=1)  # below 0: concave
        return np.asarray(np.maximum(-bend, 0.0), np.float64)

    def _forward(self, one: I32, other: I32) -> F64:
        """A picture hangs in front of its wall: float64 [pairs], 0..FORWARD."""
        way = self.center[other] - self.center[one]
        depth = np.abs((way * (self.facing[one] + self.facing[other]) / 2).sum(axis=1))
        parallel = np.clip((self.facing[one] * self.facing[other]).sum(axis=1), 0, 1) ** PARALLEL
        return np.asarray(FORWARD * np.minimum(depth / self.voxel_size, 1) * parallel, np.float64)

    def unlike_colour(self, one: Any, other: Any) -> F64:
        """How unlike the colours of pairs of super-voxels are: float64 [pairs]."""
        ratio = np.linalg.norm(self.ratio[one] - self.ratio[other], axis=-1)
        brightness = np.abs(self.brightness[one] - self.brightness[other])
        return np.asarray(ratio + BRIGHTNESS_SHARE * brightness, np.float64)


def facing(prepared: Prepared, sensors: F32 | None) -> F32:
    """Normals on the side that was seen, zero where nobody knows: float32 [V, 3]."""
    normal = prepared.normal
    if sensors is None or len(sensors) == 0:
        return np.where(normal[:, 2:] > LEVEL, normal, np.float32(0))
    nearest = sensors
    if len(sensors) > 1:
        nearest = sensors[cKDTree(sensors).query(prepared.xyz)[1]]
    toward = ((nearest - prepared.xyz) * normal).sum(axis=1, keepdims=True)
    return np.where(toward < 0, -normal, normal)
