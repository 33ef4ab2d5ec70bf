"""PCD files of the Point Cloud Library: ascii, binary and binary_compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pypcd4.pypcd4 import PointCloud

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers.guard import reading

NORMALS = ("normal_x", "normal_y", "normal_z")


def read_pcd(path: Path) -> Cloud:
    """The points of a PCD file: x y z, rgb or rgba packed in a float or an integer, normal_x y z.

    Raises:
        InputError: missing, empty, damaged or cut short; no x, y, z.
    """
    with reading(path, "PCD"):
        file = PointCloud.from_path(path)
        points = np.atleast_1d(file.pc_data)
        if len(points) != file.metadata.points:
            raise InputError(
                f"it holds {len(points)} of the {file.metadata.points} points its header promises; "
                "it was cut short: copy it again"
            )
        names = points.dtype.names or ()
        if not {"x", "y", "z"} <= set(names):
            raise InputError(f"its points lack x, y, z (they have: {', '.join(names[:12])})")
        packed = next((name for name in ("rgb", "rgba") if name in names), None)
        return Cloud(
            _columns(points, ("x", "y", "z")),
            None if packed is None else _unpack(points[packed]),
            _columns(points, NORMALS) if set(NORMALS) <= set(names) else None,
        )


def _columns(points: NDArray[Any], names: tuple[str, ...]) -> NDArray[np.float32]:
    return np.stack([points[name] for name in names], axis=1).astype(np.float32)


def _unpack(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours [N, 3] from 0xAARRGGBB stored in 4 bytes of any type."""
    if values.dtype.itemsize != 4:
        raise InputError(f"its rgb is stored as {values.dtype.name}; pack it into 4 bytes")
    bits = np.ascontiguousarray(values).view(np.uint32)
    return np.stack([bits >> 16, bits >> 8, bits], axis=1).astype(np.uint8)
