"""Colours, textures and light. A class has no colour of its own: most things may be any colour."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.draw import Draw
from otoc_ros.core.compiled import compiled

Array = NDArray[np.float32]

PLAIN, GRAIN, STRIPES, TILES, SPECKLE, BLOTCHES, PATCHWORK = range(7)


@dataclass(frozen=True)
class Material:
    """How a surface looks and how well a depth camera sees it.

    `first` and `second` are linear colours that the texture mixes; `scale` is the texture's period
    in metres; `gloss` 0..1 loses depth returns; `infrared` is the reflectance for the projector.
    """

    first: tuple[float, float, float]
    second: tuple[float, float, float]
    texture: int
    scale: float
    gloss: float
    infrared: float
    glow: float = 0.0

    def row(self) -> list[float]:
        """The numbers that `shade` and the camera read: [12]."""
        head = [*self.first, *self.second, float(self.texture), self.scale]
        return [*head, self.gloss, self.infrared, self.glow, 0.0]


GLOSS, INFRARED = 8, 9  # columns of a material row that the camera reads


def material(kind: str, draw: Draw) -> Material:
    """A random material of a kind ("wood", "fabric", …); unknown kinds look like paint."""
    base, second, texture, scale, gloss = _look(kind, draw)
    brightness = float(np.dot(base, (0.3, 0.59, 0.11)))
    # Dyes that look dark are often bright in infrared, and the other way round.
    infrared = 0.15 + 0.85 * (0.5 * brightness + 0.5 * draw.anything(0.1, 0.9))
    if kind in ("dark", "screen"):
        infrared = draw.anything(0.03, 0.2)
    glow = {"glow": draw.anything(0.6, 1.4), "screen": draw.pick((0.0, 0.0, 0.5))}.get(kind, 0.0)
    return Material(base, second, texture, scale, gloss, infrared, glow)


Color = tuple[float, float, float]


def _look(kind: str, draw: Draw) -> tuple[Color, Color, int, float, float]:
    if kind == "wood":
        base = _hsv(draw.anything(0.04, 0.12), draw.anything(0.2, 0.75), draw.between(0.2, 0.9))
        if draw.chance(0.15):
            base = _any_color(draw)
        return base, _near(base, draw, 0.72), GRAIN, draw.anything(0.015, 0.05), 0.05
    if kind in ("fabric", "leather", "carpet"):
        base = _any_color(draw)
        texture = draw.pick((PLAIN, SPECKLE, SPECKLE, STRIPES, BLOTCHES, TILES))
        if kind == "leather":
            texture = PLAIN
        second = _any_color(draw) if draw.chance(0.4) else _near(base, draw, 0.7)
        return base, second, texture, draw.anything(0.03, 0.25), 0.15 * (kind == "leather")
    if kind == "metal":
        value = draw.anything(0.12, 0.8)
        base = _hsv(draw.anything(0, 1), 0.06, value)
        return base, _near(base, draw, 0.9), PLAIN, 0.1, draw.anything(0.1, 0.5)
    if kind == "dark":
        base = _hsv(draw.anything(0, 1), draw.anything(0, 0.3), draw.anything(0.03, 0.2))
        return base, _near(base, draw, 0.9), PLAIN, 0.1, 0.1
    if kind == "glass":
        base = _hsv(draw.anything(0.4, 0.6), 0.15, draw.anything(0.3, 0.9))
        return base, base, PLAIN, 0.1, draw.anything(0.75, 0.95)
    if kind in ("screen", "image"):
        base, second = _any_color(draw), _any_color(draw)
        if kind == "screen" and draw.chance(0.6):
            base, second = _hsv(0.6, 0.2, 0.05), _hsv(0.6, 0.2, 0.07)
        texture = draw.pick((PATCHWORK, PATCHWORK, BLOTCHES, STRIPES))
        gloss = draw.anything(0.2, 0.5) if kind == "screen" else draw.anything(0.0, 0.3)
        return base, second, texture, draw.anything(0.06, 0.3), gloss
    if kind == "leaf":
        base = _hsv(draw.between(0.14, 0.42), draw.anything(0.35, 0.85), draw.anything(0.25, 0.75))
        return base, _near(base, draw, 0.6), BLOTCHES, 0.05, 0.0
    if kind == "soil":
        base = _hsv(0.07, 0.5, draw.anything(0.12, 0.35))
        return base, _near(base, draw, 0.6), SPECKLE, 0.02, 0.0
    if kind == "carton":
        base = _hsv(draw.anything(0.06, 0.1), draw.anything(0.3, 0.6), draw.anything(0.45, 0.8))
        return base, _near(base, draw, 0.9), SPECKLE, 0.05, 0.0
    if kind == "stone":
        base = _hsv(draw.anything(0, 1), draw.anything(0, 0.15), draw.between(0.15, 0.95))
        return base, _near(base, draw, 0.6), draw.pick((SPECKLE, BLOTCHES)), 0.04, 0.2
    if kind == "tile":
        base = _any_color(draw)
        return base, _near(base, draw, 0.6), TILES, draw.anything(0.2, 0.6), draw.anything(0, 0.35)
    if kind == "plaster":
        base = _pale(draw)
        if draw.chance(0.4):
            base = _hsv(draw.between(0, 1), draw.between(0.1, 0.6), draw.anything(0.35, 0.95))
        texture = draw.pick((PLAIN, PLAIN, SPECKLE, STRIPES, BLOTCHES))
        return base, _near(base, draw, 0.88), texture, draw.anything(0.08, 0.5), 0.0
    if kind in ("glow", "paper", "ceramic"):
        base = _pale(draw) if draw.chance(0.5) else _any_color(draw)
        return base, _near(base, draw, 0.9), PLAIN, 0.1, 0.1 * (kind == "ceramic")
    base = _any_color(draw)
    return base, _near(base, draw, 0.92), PLAIN, 0.1, draw.anything(0.0, 0.25)


def _any_color(draw: Draw) -> Color:
    """White, grey, black, wooden or of a hue that this split owns."""
    style = draw.rng.random()
    if style < 0.22:
        return _pale(draw)
    if style < 0.34:
        return _hsv(draw.anything(0, 1), draw.anything(0, 0.15), draw.anything(0.25, 0.7))
    if style < 0.44:
        return _hsv(draw.anything(0, 1), draw.anything(0, 0.4), draw.anything(0.05, 0.22))
    if style < 0.58:
        return _hsv(draw.anything(0.04, 0.12), draw.anything(0.2, 0.7), draw.between(0.25, 0.9))
    return _hsv(draw.between(0, 1), draw.between(0.2, 0.9), draw.between(0.25, 0.95))


def _pale(draw: Draw) -> Color:
    return _hsv(draw.between(0, 1), draw.anything(0, 0.18), draw.anything(0.72, 0.97))


def _near(color: Color, draw: Draw, factor: float) -> Color:
    scaled = np.clip(np.asarray(color) * factor + draw.normal(0.015, 3), 0.004, 1)
    return float(scaled[0]), float(scaled[1]), float(scaled[2])


def _hsv(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return red**2.2, green**2.2, blue**2.2


@dataclass(frozen=True, eq=False)
class Light:
    """Lamps as points: position float32 [L, 3], linear colour float32 [L, 3]; ambient [3]."""

    position: Array
    color: Array
    ambient: Array


def light(draw: Draw, spots: NDArray[np.float64]) -> Light:
    """The light of a visit: lamps at some of the spots [K, 3], each of its own warmth."""
    count = min(len(spots), draw.count(1, 3))
    rows = draw.rng.permutation(len(spots))[:count]
    warmth = draw.rng.uniform(-0.18, 0.18, (count + 1, 1)) * np.array([1.0, 0.0, -1.3])
    power = draw.rng.uniform(0.5, 1.6, (count, 1))
    ambient = draw.anything(0.25, 0.6) * (1 + 0.5 * warmth[-1])
    position = spots[rows].astype(np.float32)
    return Light(
        position, (power * (1 + warmth[:-1])).astype(np.float32), ambient.astype(np.float32)
    )


@compiled
def _hash(x: int, y: int, z: int, salt: int) -> Any:
    """A number in [0, 1) from a lattice cell."""
    value = np.uint32(x * 73856093) ^ np.uint32(y * 19349663) ^ np.uint32(z * 83492791)
    value = np.uint32(value ^ np.uint32(salt * 2654435761))
    value = np.uint32((value ^ (value >> np.uint32(15))) * np.uint32(2246822519))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(3266489917))
    return np.float64(value ^ (value >> np.uint32(16))) / 4294967296.0


@compiled
def _noise(x: float, y: float, z: float, salt: int) -> Any:
    """Smooth noise in [0, 1] with cells of size one."""
    ix, iy, iz = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    fx, fy, fz = x - ix, y - iy, z - iz
    fx, fy, fz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
    total = 0.0
    for corner in range(8):
        dx, dy, dz = corner >> 2 & 1, corner >> 1 & 1, corner & 1
        weight = (fx if dx else 1 - fx) * (fy if dy else 1 - fy) * (fz if dz else 1 - fz)
        total += weight * _hash(ix + dx, iy + dy, iz + dz, salt)
    return total


@compiled
def smooth_noise(points: Array, cell: float, salt: int) -> Array:
    """Noise in [0, 1], float32 [N], that varies over `cell` metres."""
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        p = points[i]
        out[i] = _noise(p[0] / cell, p[1] / cell, p[2] / cell, salt)
    return out


@compiled
def _mix(texture: int, x: float, y: float, z: float, scale: float, salt: int) -> Any:
    """How much of the second colour a texture shows at a point of its object."""
    u, v, w = x / scale, y / scale, z / scale
    if texture == 1:  # wood: noise stretched along the longest direction of a board
        return 0.8 * _noise(u * 0.12, v, w, salt) + 0.2 * _noise(u * 0.5, v * 4, w * 4, salt)
    if texture == 2:
        return 1.0 if (u + v) - np.floor(u + v) < 0.5 else 0.0
    if texture == 3:
        joint = 0.06
        for t in (u, v, w):
            if t - np.floor(t) < joint:
                return 1.0
        return 0.35 * _hash(int(np.floor(u)), int(np.floor(v)), int(np.floor(w)), salt)
    if texture == 4:
        return _noise(u * 4, v * 4, w * 4, salt)
    if texture == 5:
        value = 0.6 * _noise(u, v, w, salt) + 0.4 * _noise(u * 2.3, v * 2.3, w * 2.3, salt)
        return min(1.0, max(0.0, (value - 0.4) * 5))
    if texture == 6:
        return _hash(int(np.floor(u)), int(np.floor(v * 0.1)), int(np.floor(w)), salt)
    return 0.25 * _noise(u * 0.5, v * 0.5, w * 0.5, salt)


@compiled
def shade(
    local: Array,
    point: Array,
    normal: Array,
    materials: Array,
    row: NDArray[np.int32],
    lamps: Array,
    lamp_color: Array,
    ambient: Array,
    lit: NDArray[np.bool_],
) -> Array:
    """Linear colour float32 [N, 3] of hits.

    local, point, normal: float32 [N, 3] in the object's frame, the room and the room; normals face
    the camera. materials: float32 [K, 12], row int32 [N] into them. lit: bool [L, N].
    """
    out = np.empty((len(point), 3), np.float32)
    for i in range(len(point)):
        m = materials[row[i]]
        p = local[i]
        mix = _mix(int(m[6]), p[0], p[1], p[2], m[7], row[i])
        light_sum = ambient.copy()
        for k in range(len(lamps)):
            if not lit[k, i]:
                continue
            d = lamps[k] - point[i]
            square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
            cosine = (d[0] * normal[i, 0] + d[1] * normal[i, 1] + d[2] * normal[i, 2]) / np.sqrt(
                square + 1e-6
            )
            if cosine > 0:
                light_sum += lamp_color[k] * np.float32(cosine / (0.6 + 0.25 * square))
        for c in range(3):
            albedo = m[c] * (1 - mix) + m[3 + c] * mix
            out[i, c] = albedo * (light_sum[c] + m[10])
    return out
