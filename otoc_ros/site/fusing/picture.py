"""A picture that tells a person which way the scan believes to be up."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud, rotation_to_z
from otoc_ros.site.fusing.views import returns

SIDE = 480  # pixels of each of the two panels
MARGIN = 24
ENOUGH = 500_000  # points; more lie on the same pixels
BACKGROUND = (250, 250, 248)
INK = (30, 30, 30)


def up_picture(cloud: Cloud, up: NDArray[Any], caption: str) -> bytes:
    """A scan from the side, up being up, and from above: a PNG.

    Args:
        cloud: N points; missing returns, NaN or exactly at the origin, are passed over.
        up: float [3] in the cloud's frame.
        caption: one line, where up comes from.

    Raises:
        ModuleNotFoundError: pillow is missing.
    """
    from PIL import Image, ImageDraw

    sample = cloud.take(np.arange(0, len(cloud), len(cloud) // ENOUGH + 1))
    seen = returns(sample)
    cloud = seen if len(seen) else sample
    xyz = cloud.xyz.astype(np.float64) @ rotation_to_z(up).T
    rgb = cloud.rgb if cloud.rgb is not None else _height_colours(xyz[:, 2])
    open_top = xyz[:, 2] <= np.percentile(xyz[:, 2], 90)  # a ceiling would hide the room
    panels = [
        _panel(xyz[:, [0, 2]], -xyz[:, 1], rgb),
        _panel(xyz[open_top, :2], xyz[open_top, 2], rgb[open_top]),
    ]
    image = Image.fromarray(np.concatenate(panels, axis=1))
    draw = ImageDraw.Draw(image)
    draw.line((12, 90, 12, 40), fill=INK, width=3)
    draw.polygon(((12, 28), (5, 42), (19, 42)), fill=INK)
    draw.text((24, 30), "up", fill=INK)
    draw.text((MARGIN, 6), f"from the side; {caption}", fill=INK)
    draw.text((SIDE + MARGIN, 6), "from above", fill=INK)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _panel(
    flat: NDArray[np.float64], nearness: NDArray[np.float64], rgb: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Points [N, 2] (right, up) on a square; the nearer ones cover the others."""
    panel = np.full((SIDE, SIDE, 3), BACKGROUND, np.uint8)
    low, high = np.percentile(flat, [0.2, 99.8], axis=0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-6)
    pixel = np.rint((flat - (low + high) / 2) * scale).astype(np.int64)
    pixel = np.column_stack([SIDE // 2 - pixel[:, 1], SIDE // 2 + pixel[:, 0]])
    shown = ((pixel >= 0) & (pixel < SIDE - 1)).all(1)
    rows = np.flatnonzero(shown)[np.argsort(nearness[shown], kind="stable")]
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        panel[pixel[rows, 0] + down, pixel[rows, 1] + right] = rgb[rows]
    return panel


def _height_colours(z: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = np.percentile(z, [1, 99])
    share = np.clip((z - low) / max(high - low, 1e-6), 0, 1)[:, None]
    colour: NDArray[np.uint8] = ((1 - share) * (40, 60, 140) + share * (240, 170, 60)).astype(
        np.uint8
    )
    return colour
