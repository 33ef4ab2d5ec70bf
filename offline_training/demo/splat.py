"""Pictures of point clouds: every point a small disc, the nearest one wins, light from above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

FINER = 2  # pictures are painted this much larger and then shrunk, which smooths their edges
NEAR = 0.05  # metres; nothing nearer to the eye is painted
LEAST, LARGEST = 1.5, 8  # radius of a disc, pixels of the finer picture
LIGHT = np.array([0.40, -0.35, 0.85]) / np.linalg.norm([0.40, -0.35, 0.85])  # z is up
AMBIENT = 0.55  # light on a surface that the lamp does not reach
RELIEF = 3.0  # how much darker a point is whose neighbours are nearer to the eye


@dataclass(frozen=True, eq=False)
class View:
    """A perspective camera.

    Attributes:
        eye, target: float [3]; where it stands and what is in the middle of the picture, metres.
        up: float [3]; not along the line of sight.
        angle: degrees from the left to the right edge of the picture.
        size: width and height in pixels.
    """

    eye: F64
    target: F64
    up: F64
    angle: float
    size: tuple[int, int]

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.size[0] / 2 / float(np.tan(np.deg2rad(self.angle / 2)))

    def project(self, xyz: NDArray[Any]) -> tuple[F64, F64]:
        """Pixels [N, 2] (x right, y down) and depths [N] in metres of points [N, 3]."""
        ahead = (self.target - self.eye) / np.linalg.norm(self.target - self.eye)
        right = np.cross(ahead, self.up)
        right /= np.linalg.norm(right)
        seen = (np.asarray(xyz, np.float64) - self.eye) @ np.stack(
            [right, np.cross(ahead, right), ahead], axis=1
        )
        depth = seen[:, 2]
        scale = self.focal / np.maximum(depth, NEAR)
        return seen[:, :2] * scale[:, None] + np.array(self.size) / 2, depth


@dataclass(frozen=True, eq=False)
class Raster:
    """Which point each pixel of a picture shows, so that it can be painted in many colours.

    Attributes:
        point: int32 [H, W], row of the point, -1 = none; of the finer picture.
        light: float32 [H, W], 0..1.
        view: what it was seen from.
    """

    point: NDArray[np.int32]
    light: F32
    view: View

    def paint(self, colors: U8, *, shade: float = 1.0) -> Image.Image:
        """The picture, transparent where there is nothing.

        Args:
            colors: uint8 [N, 3], one a point.
            shade: how much light and relief count; 0 paints the bare colours.
        """
        light = 1 - shade * (1 - self.light[..., None])
        color = colors[np.maximum(self.point, 0)] * light
        alpha = np.where(self.point >= 0, 255, 0)[..., None]
        # The colour of nothing must not shine through smoothed edges.
        pixels = np.concatenate([np.where(alpha > 0, color, 0), alpha], axis=2)
        premultiplied = Image.fromarray(pixels.round().astype(np.uint8), "RGBA")
        small = np.asarray(premultiplied.resize(self.view.size, Image.Resampling.BOX), np.float32)
        covered = np.maximum(small[..., 3:], 1) / 255
        small = np.concatenate([np.minimum(small[..., :3] / covered, 255), small[..., 3:]], axis=2)
        return Image.fromarray(small.round().astype(np.uint8), "RGBA")


def rasterize(xyz: NDArray[Any], normal: NDArray[Any] | None, view: View, radius: float) -> Raster:
    """Find the nearest point of every pixel.

    Args:
        xyz: float [N, 3], finite, metres.
        normal: float [N, 3], either side out, or None for even light.
        radius: of the disc that stands for a point, metres.
    """
    width, height = (FINER * side for side in view.size)
    pixel, depth = view.project(xyz)
    pixel *= FINER
    reach = np.clip(radius * view.focal * FINER / np.maximum(depth, NEAR), LEAST, LARGEST)
    inside = (depth > NEAR) & (np.abs(pixel - [width / 2, height / 2]) < [width, height]).all(1)
    rows = np.flatnonzero(inside)
    column, line = np.floor(pixel[rows]).astype(np.int64).T
    # Depth before row in one number: the least of a pixel is its nearest point.
    key = (depth[rows] * 1e5).astype(np.int64) << 32 | rows
    nearest = np.full(width * height, np.iinfo(np.int64).max)
    steps = range(-LARGEST, LARGEST + 1)
    for dx, dy in ((x, y) for x in steps for y in steps if x * x + y * y <= LARGEST**2):
        x, y = column + dx, line + dy
        drawn = (reach[rows] ** 2 >= dx * dx + dy * dy) & (x >= 0) & (x < width)
        drawn &= (y >= 0) & (y < height)
        if drawn.any():
            np.minimum.at(nearest, y[drawn] * width + x[drawn], key[drawn])
    won = nearest.reshape(height, width)
    hit = won != np.iinfo(np.int64).max
    point = np.where(hit, won & 0xFFFFFFFF, -1).astype(np.int32)
    far = np.where(hit, np.log(np.maximum(won >> 32, 1).astype(np.float64)), np.inf)
    light = _relief(far)
    if normal is not None:
        lamp = np.abs(np.asarray(normal, np.float64) @ LIGHT)
        light *= (AMBIENT + (1 - AMBIENT) * lamp)[np.maximum(point, 0)]
    return Raster(point, light.astype(np.float32), view)


def _relief(depth: F64) -> F64:
    """Eye-dome lighting (Boucheny, 2009): darker where the neighbours are nearer to the eye.

    Args:
        depth: [H, W], logarithm of metres; infinite where there is nothing.
    """
    darkness = np.zeros_like(depth)
    known = np.isfinite(depth)
    for reach in (1, 3):
        for axis, shift in ((0, reach), (0, -reach), (1, reach), (1, -reach)):
            beside = np.roll(depth, shift, axis)
            both = known & np.isfinite(beside)
            step = np.subtract(depth, beside, out=np.zeros_like(depth), where=both)
            darkness += np.clip(step, 0, 0.06)
    return np.exp(-RELIEF * darkness)
