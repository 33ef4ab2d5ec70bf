"""Lamps for floors, tables and ceilings."""

from __future__ import annotations

import itertools

import numpy as np

from offline_training.rooms.draw import Draw
from offline_training.rooms.piece import Piece
from offline_training.rooms.shapes import box, ellipsoid, lathe, rod


def lamp(draw: Draw, *, kind: str) -> Piece:
    """A lamp that stands on the floor or a table, or (hung at z = 0) below a ceiling."""
    piece = Piece("lamp", kind)
    pole = draw.pick(("metal", "dark", "wood", "paint"))
    shade = draw.pick(("glow", "glow", "fabric.shade", "paint.shade", "metal.shade"))
    if kind in ("cone", "torchiere", "tripod", "globes"):
        tall, radius = draw.between(1.35, 1.75), draw.between(0.14, 0.24)
        if kind == "tripod":
            for angle in np.arange(3) * 2.094 + 0.5:
                piece.add(
                    rod(
                        (0.26 * np.cos(angle), 0.26 * np.sin(angle), 0), (0, 0, tall - 0.25), 0.014
                    ),
                    pole,
                )
        else:
            piece.add(rod((0, 0, 0), (0, 0, 0.025), radius * 0.85, sides=16), pole)
            piece.add(rod((0, 0, 0.02), (0, 0, tall - 0.1), 0.012), pole)
        if kind == "torchiere":
            piece.add(
                lathe([(0.02, tall - 0.12), (radius * 0.6, tall - 0.07), (radius, tall)]), shade
            )
        elif kind == "globes":
            for angle in (0.4, 2.5, 4.6):
                z, reach = tall - 0.12 * angle, 0.16
                tip = (reach * np.cos(angle), reach * np.sin(angle), z)
                piece.add(rod((0, 0, z - 0.04), tip, 0.008), pole)
                piece.add(ellipsoid(tip, (0.075, 0.075, 0.075)), "glow")
        else:
            low = tall - draw.between(0.22, 0.32)
            spread = 1.0 if kind == "tripod" else 0.6
            piece.add(lathe([(radius, low), (radius * spread, tall)]), shade)
            piece.add(ellipsoid((0, 0, low + 0.12), (0.05, 0.05, 0.07)), "glow")
    elif kind == "arc":
        tall, reach = draw.between(1.6, 1.9), draw.between(0.55, 0.8)
        piece.add(rod((0, 0, 0), (0, 0, 0.05), 0.16, sides=16), pole)
        angle = np.linspace(0, 2.2, 10)
        points = np.stack(
            [np.zeros(10), reach * (1 - np.cos(angle)) / 1.6, tall * np.sin(angle / 1.4)], 1
        )
        for a, b in itertools.pairwise(points):
            piece.add(rod(a, b, 0.013, sides=6), pole)
        tip = points[-1]
        piece.add(lathe([(0.03, tip[2] + 0.02), (0.15, tip[2] - 0.14)]) + [0, tip[1], 0], shade)
    elif kind in ("drum", "mushroom", "tube"):
        tall, radius = draw.between(0.34, 0.58), draw.between(0.09, 0.16)
        piece.add(rod((0, 0, 0), (0, 0, 0.02), radius * 0.8, sides=16), pole)
        body = (0.05, 0.03) if kind == "drum" and draw.chance(0.5) else (0.012, 0.012)
        piece.add(rod((0, 0, 0.015), (0, 0, tall * 0.7), *body), pole)
        if kind == "drum":
            piece.add(lathe([(radius, tall * 0.55), (radius * 0.8, tall)]), shade)
        elif kind == "tube":
            piece.add(lathe([(radius * 0.6, tall * 0.3), (radius * 0.6, tall), (0.0, tall)]), shade)
        else:
            cap = [
                (radius, tall * 0.6),
                (radius * 0.9, tall * 0.8),
                (radius * 0.5, tall * 0.95),
                (0.0, tall),
            ]
            piece.add(lathe(cap), shade)
    elif kind in ("arm", "gooseneck"):
        radius, first = draw.between(0.07, 0.11), draw.between(0.24, 0.36)
        piece.add(rod((0, 0, 0), (0, 0, 0.025), radius, sides=16), pole)
        if kind == "arm":
            joint, tip = (0, -0.13, first), (0, 0.16, first + draw.between(0.08, 0.2))
            piece.add(rod((0, 0, 0.02), joint, 0.011), pole)
            piece.add(rod(joint, tip, 0.011), pole)
        else:
            angle = np.linspace(0, 2.6, 9)
            bend = np.stack(
                [np.zeros(9), 0.11 * (1 - np.cos(angle)), first + 0.11 * np.sin(angle)], 1
            )
            piece.add(rod((0, 0, 0.02), (0, 0, first), 0.01), pole)
            for a, b in itertools.pairwise(bend):
                piece.add(rod(a, b, 0.01, sides=6), pole)
            tip = tuple(bend[-1])
        head = lathe([(0.03, 0.05), (0.085, -0.06)]) + np.asarray(tip)
        piece.add(head, shade)
        piece.add(ellipsoid(np.asarray(tip) - [0, 0, 0.03], (0.03, 0.03, 0.03)), "glow")
    elif kind in ("dome", "globe", "cylinder"):
        drop, radius = draw.between(0.3, 0.75), draw.between(0.13, 0.26)
        piece.add(rod((0, 0, -drop), (0, 0, 0), 0.008, sides=6), "dark")
        if kind == "globe":
            piece.add(ellipsoid((0, 0, -drop - radius), (radius, radius, radius)), "glow")
        elif kind == "cylinder":
            piece.add(
                lathe([(radius * 0.6, -drop - 0.3), (radius * 0.6, -drop), (0.0, -drop)]), shade
            )
            piece.add(ellipsoid((0, 0, -drop - 0.12), (0.05, 0.05, 0.06)), "glow")
        else:
            piece.add(
                lathe([(radius, -drop - 0.16), (radius * 0.7, -drop - 0.04), (0.02, -drop)]), shade
            )
            piece.add(ellipsoid((0, 0, -drop - 0.1), (0.05, 0.05, 0.06)), "glow")
    else:  # flat fittings below the ceiling: panel, bar, plate
        x, y = {"panel": (0.6, 0.3), "bar": (0.75, 0.08), "plate": (0.22, 0.22)}[kind]
        scale, deep = draw.between(0.8, 1.2), draw.between(0.04, 0.09)
        if kind == "plate":
            piece.add(rod((0, 0, -deep), (0, 0, 0), x * scale, sides=24), "glow")
        else:
            piece.add(box((-x * scale, -y * scale, -deep), (x * scale, y * scale, 0)), "metal")
            rim = box(
                (-x * scale + 0.03, -y * scale + 0.03, -deep - 0.004),
                (x * scale - 0.03, y * scale - 0.03, -deep),
            )
            piece.add(rim, "glow")
    return piece
