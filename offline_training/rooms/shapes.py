"""Solids as triangles: float64 [T, 3, 3], metres. Everything a room holds is made of these."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

Triangles = NDArray[np.float64]
Point = Sequence[Any] | NDArray[np.float64]  # three numbers

_BOX_CORNERS = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], dtype=bool)
_BOX_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]]
    + [[2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
)


def box(low: Point, high: Point) -> Triangles:
    """The axis-aligned box between two corners."""
    corners: Triangles = np.where(_BOX_CORNERS, np.asarray(high, float), np.asarray(low, float))
    triangles: Triangles = corners[_BOX_FACES]
    return triangles


def block(x: float, y: float, z: float, size: tuple[float, float, float]) -> Triangles:
    """A box that stands on height z, centred over a point."""
    a, b, height = size
    return box((x - a / 2, y - b / 2, z), (x + a / 2, y + b / 2, z + height))


def rod(
    start: Point, end: Point, radius: float, end_radius: float | None = None, sides: int = 8
) -> Triangles:
    """A closed tube or cone frustum from one point to another."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
    helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.9 else np.array([0, 1.0, 0])
    u = np.cross(axis, helper)
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    angle = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    ring = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v
    last = radius if end_radius is None else end_radius
    return _stack([a + ring * radius, b + ring * last], [a, b])


def lathe(profile: Sequence[tuple[float, float]], sides: int = 20) -> Triangles:
    """The surface that a profile of (radius, z) sweeps around the z axis; open at its ends."""
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(sides)], 1)
    return _stack([ring * r + [0, 0, z] for r, z in profile], None)


def prism(outline: NDArray[np.float64], low: float, high: float) -> Triangles:
    """A star-shaped outline [K, 2] (anticlockwise), closed, from one height to another."""
    flat = outline
    middle = flat.mean(0)
    rings = [np.column_stack([flat, np.full(len(flat), z)]) for z in (low, high)]
    return _stack(rings, [np.append(middle, low), np.append(middle, high)])


def _stack(rings: list[NDArray[np.float64]], caps: list[NDArray[np.float64]] | None) -> Triangles:
    pieces = []
    for lower, upper in itertools.pairwise(rings):
        lower_next, upper_next = np.roll(lower, -1, 0), np.roll(upper, -1, 0)
        pieces.append(np.stack([lower, lower_next, upper], 1))
        pieces.append(np.stack([upper, lower_next, upper_next], 1))
    if caps is not None:
        for ring, cap in zip((rings[0], rings[-1]), caps, strict=True):
            pieces.append(
                np.stack([ring, np.roll(ring, -1, 0), np.broadcast_to(cap, ring.shape)], 1)
            )
    return np.concatenate(pieces)


def ellipsoid(center: Point, radii: Point) -> Triangles:
    """An ellipsoid along the axes."""
    sphere: Triangles = _unit_sphere() * np.asarray(radii, float) + np.asarray(center, float)
    return sphere


@cache
def _unit_sphere() -> Triangles:
    return np.asarray(trimesh.creation.icosphere(subdivisions=2).triangles)


def sheet(grid: NDArray[np.float64]) -> Triangles:
    """A surface through a grid of points [n, m, 3], without thickness."""
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[:-1, 1:], grid[1:, 1:]
    return np.concatenate([np.stack([a, b, c], 2), np.stack([c, b, d], 2)]).reshape(-1, 3, 3)


def cushion(low: Point, high: Point, puff: float = 0.03) -> Triangles:
    """A box whose faces bulge, as upholstery does."""
    size = np.asarray(high, float) - np.asarray(low, float)
    middle = (np.asarray(high, float) + np.asarray(low, float)) / 2
    unit = _unit_sphere()
    # A superellipsoid of exponent about 5: a box with round edges.
    power = (np.abs(unit) ** 5).sum(2, keepdims=True) ** (-1 / 5)
    puffed: Triangles = unit * power * (size / 2 + puff * 0.2) + middle
    return puffed


def outline(kind: str, width: float, depth: float) -> NDArray[np.float64]:
    """The outline [K, 2] of a table top: "rect", "chamfer", "round" or "oval"."""
    x, y = width / 2, depth / 2
    if kind == "rect":
        return np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    if kind == "chamfer":
        c = 0.18 * min(width, depth)
        low = [[-x + c, -y], [x - c, -y], [x, -y + c], [x, y - c]]
        return np.array(low + [[x - c, y], [-x + c, y], [-x, y - c], [-x, -y + c]])
    angle = np.arange(28) * 2 * np.pi / 28
    radius_x, radius_y = (x, y) if kind == "oval" else (min(x, y), min(x, y))
    return np.column_stack([radius_x * np.cos(angle), radius_y * np.sin(angle)])


def tilt(triangles: Triangles, angle: float, pivot: Point) -> Triangles:
    """Turned by an angle about the x axis through a point; positive leans +z toward -y."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    origin = np.asarray(pivot, float)
    turned: Triangles = (triangles - origin) @ rotation.T + origin
    return turned


def turn(triangles: Triangles, angle: float, pivot: Point = (0, 0, 0)) -> Triangles:
    """Turned by an angle about the vertical axis through a point."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    origin = np.asarray(pivot, float)
    turned: Triangles = (triangles - origin) @ rotation.T + origin
    return turned


def move(triangles: Triangles, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Triangles:
    """Shifted."""
    moved: Triangles = triangles + np.array([x, y, z])
    return moved
