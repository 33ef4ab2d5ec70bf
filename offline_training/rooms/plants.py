"""Potted plants."""

from __future__ import annotations

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import Triangles, block, lathe, rod


def plant(draw: Draw, *, foliage: str, pot: str, use: str) -> Piece:
    """A potted plant; `foliage`: bush, blades, tree, palm, cactus or trailing."""
    piece = Piece("plant", f"{foliage}-{pot}")
    scale = draw.between(0.75, 1.25) if use == "floor" else draw.between(0.28, 0.45)
    radius, tall = 0.17 * scale, draw.between(0.22, 0.36) * scale
    material = draw.pick(("ceramic", "carton", "paint", "plastic"))
    if pot == "box":
        piece.add(block(0, 0, 0, (radius * 1.8, radius * 1.8, tall)), material)
    else:
        foot = {"cone": 0.7, "cylinder": 1.0, "bowl": 0.45}[pot]
        profile = [
            (0.0, 0.0),
            (radius * foot, 0.0),
            (radius * (0.9 if pot == "bowl" else foot * 0.5 + 0.5), tall * 0.5),
            (radius, tall),
        ]
        piece.add(lathe(profile), material)
        piece.add(lathe([(0.0, tall * 0.88), (radius * 0.97, tall * 0.86)]), "soil")
    grown = draw.between(0.5, 1.0) * scale
    if foliage == "cactus":
        piece.add(
            rod((0, 0, tall * 0.8), (0, 0, tall + grown * 0.7), radius * 0.35, radius * 0.3, 10),
            "leaf",
        )
        for side in (-1, 1):
            z = tall + grown * draw.between(0.2, 0.4)
            elbow = (side * radius * 0.9, 0, z + 0.03)
            piece.add(rod((0, 0, z), elbow, radius * 0.18), "leaf")
            piece.add(rod(elbow, (elbow[0], 0, z + grown * 0.25), radius * 0.2), "leaf")
        return piece
    if foliage == "tree":
        piece.add(
            rod((0, 0, tall * 0.8), (0, 0, tall + grown * 0.7), 0.018 * scale + 0.004), "wood.stem"
        )
    leaves = _leaves(draw, foliage, radius, tall * 0.85, grown)
    # The crown keeps only its core clear of other furniture: leaves may brush against things.
    core = block(0, 0, tall, (radius * 1.6, radius * 1.6, grown * 0.7))
    piece.add(leaves, "leaf", solid=False)
    piece.boxes.append(np.stack([core.min((0, 1)), core.max((0, 1))]))
    return piece


def _leaves(draw: Draw, kind: str, radius: float, base: float, grown: float) -> Triangles:
    """Leaves as bent quads [T, 3, 3]."""
    count = {"bush": 110, "tree": 130, "blades": 26, "palm": 22, "trailing": 90}[kind]
    rng = draw.rng
    angle, lift = rng.uniform(0, 2 * np.pi, count), rng.uniform(0, 1, count)
    around = np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], 1)
    if kind == "blades":
        root = around * radius * 0.6 * np.sqrt(lift)[:, None] + [0, 0, base]
        tip = root + around * 0.08 + np.array([0, 0, 1.0]) * (grown * (0.6 + 0.4 * lift))[:, None]
        width = 0.045 * grown + 0.008
    elif kind == "palm":
        root = np.tile([0.0, 0, base], (count, 1))
        reach = grown * (0.45 + 0.35 * lift)[:, None]
        tip = (
            root
            + around * reach * 0.8
            + np.array([0, 0, 1.0]) * reach * (1.1 - 0.9 * lift)[:, None]
        )
        width = 0.07 * grown + 0.01
    else:
        z = {"bush": 0.45, "tree": 0.75, "trailing": 0.05}[kind] * grown
        ball = rng.normal(size=(count, 3))
        ball *= np.cbrt(rng.random(count))[:, None] / np.linalg.norm(ball, axis=1, keepdims=True)
        spread = np.array([1, 1, 0.9 if kind != "trailing" else 0.8]) * (
            grown * 0.38 + radius * 0.3
        )
        root = ball * spread + [0, 0, base + z + grown * 0.1]
        root[:, 2] = np.maximum(root[:, 2], base * (0.4 if kind == "trailing" else 1.0))
        tip = root + (ball + rng.normal(0, 0.35, (count, 3))) * (0.14 * grown + 0.015)
        width = 0.055 * grown + 0.006
    span = tip - root
    side = np.cross(
        span, rng.normal(size=(count, 3)) if kind in ("bush", "tree", "trailing") else [0, 0, 1.0]
    )
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    middle = (
        root + span * 0.55 + np.array([0, 0, 1.0]) * np.linalg.norm(span, axis=1)[:, None] * 0.12
    )
    left, right = middle - side * width, middle + side * width
    return np.concatenate([np.stack([root, left, right], 1), np.stack([left, tip, right], 1)])
