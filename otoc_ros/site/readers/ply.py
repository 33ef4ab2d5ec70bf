"""PLY files, as every point-cloud viewer opens them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers.guard import reading

COLOURS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)
NORMALS = ("nx", "ny", "nz")
AT_ONCE = 1_000_000  # points that are put into the file's order together


def read_ply(path: Path) -> Cloud:
    """The vertices of a PLY file (ascii or binary): x y z, red green blue, nx ny nz.

    Colours may be bytes, 16-bit, or floats of 0..1. Other elements and properties are ignored.

    Raises:
        InputError: missing, empty, damaged or cut short; no vertices with x, y, z.
    """
    with reading(path, "PLY"):
        # Mapped, and copied below: without a map plyfile reads value by value, 100 times slower.
        vertex = PlyData.read(path)
        if "vertex" not in vertex:
            raise InputError("it has no vertices; save it as a point cloud")
        points = vertex["vertex"].data
        return Cloud(
            _columns(points, ("x", "y", "z")).astype(np.float32, copy=False),
            _colour(points),
            _columns(points, NORMALS).astype(np.float32, copy=False)
            if _has(points, NORMALS)
            else None,
        )


def ply_bytes(cloud: Cloud, columns: Mapping[str, NDArray[Any]] | None = None) -> bytes:
    """A cloud as a binary little-endian PLY file; the same cloud gives the same bytes.

    Args:
        columns: further vertex properties by name, each a number [N] of at most 32 bits or float64.
    """
    buffer = io.BytesIO()
    for part in ply_parts(cloud, columns):
        buffer.write(part)
    return buffer.getvalue()


def ply_parts(cloud: Cloud, columns: Mapping[str, NDArray[Any]] | None = None) -> Iterator[bytes]:
    """`ply_bytes` piece by piece, so that memory need not hold a large cloud a second time."""
    parts: dict[str, NDArray[Any]] = dict(zip("xyz", cloud.xyz.T, strict=True))
    if cloud.normal is not None:
        parts.update(zip(NORMALS, cloud.normal.T, strict=True))
    if cloud.rgb is not None:
        parts.update(zip(COLOURS[0], cloud.rgb.T, strict=True))
    parts.update(columns or {})
    layout = np.dtype([(name, part.dtype.newbyteorder("<")) for name, part in parts.items()])
    element = PlyElement.describe(np.empty(0, layout), "vertex")
    header = PlyData([element], byte_order="<").header
    yield header.replace("element vertex 0", f"element vertex {len(cloud)}").encode() + b"\n"
    for start in range(0, len(cloud), AT_ONCE):
        rows = slice(start, min(start + AT_ONCE, len(cloud)))
        vertex = np.empty(rows.stop - start, layout)
        for name, part in parts.items():
            vertex[name] = part[rows]
        yield vertex.tobytes()


def _colour(points: NDArray[Any]) -> NDArray[np.uint8] | None:
    names = next((names for names in COLOURS if _has(points, names)), None)
    if names is None:
        return None
    values = _columns(points, names)
    if values.dtype.kind == "f":
        values = np.rint(np.nan_to_num(values).clip(0, 1) * 255)
    elif values.dtype.itemsize == 2:
        values = values >> 8
    return np.asarray(values, np.uint8)


def _has(points: NDArray[Any], names: tuple[str, ...]) -> bool:
    return set(names) <= set(points.dtype.names or ())


def _columns(points: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any]:
    if not _has(points, names):
        found = ", ".join((points.dtype.names or ())[:12]) or "none"
        raise InputError(f"its vertices lack {', '.join(names)} (they have: {found})")
    return np.stack([points[name] for name in names], axis=1)
