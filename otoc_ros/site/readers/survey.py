"""Files of surveyors: LAS and LAZ (airborne and terrestrial lidar), E57 (scanning stations)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.readers.guard import reading

FAR = 1000.0  # metres; larger coordinates lose millimetres in float32


def read_las(path: Path) -> Cloud:
    """A LAS or LAZ file; colours of 16 bits become bytes.

    Coordinates of a kilometre and more (UTM, say) are lessened by `survey_origin` of the points.

    Raises:
        InputError: missing, empty, damaged or cut short.
        ModuleNotFoundError: laspy or, for LAZ, lazrs is missing.
    """
    import laspy

    with reading(path, "LAS"):
        file = laspy.read(path)
        xyz = np.column_stack([file.x, file.y, file.z])
        if len(xyz) != file.header.point_count:
            raise InputError(
                f"it holds {len(xyz)} of the {file.header.point_count} points its header promises; "
                "it was cut short: copy it again"
            )
        names = set(file.point_format.dimension_names)
        if not {"red", "green", "blue"} <= names:
            return Cloud(_near(xyz))
        return Cloud(_near(xyz), _bytes(np.column_stack([file.red, file.green, file.blue])))


def read_e57(path: Path) -> Cloud:
    """An E57 file: all its scans, each by its own pose, as one cloud.

    Coordinates of a kilometre and more are lessened by `survey_origin` of the points.

    Raises:
        InputError: missing, empty, damaged, or without scans.
        ModuleNotFoundError: pye57 is missing.
    """
    import pye57

    with reading(path, "E57"):
        file = pye57.E57(str(path))
        if file.scan_count == 0:
            raise InputError("it holds no scan; export the points with it")
        scans = [
            file.read_scan(row, colors=True, ignore_missing_fields=True)
            for row in range(file.scan_count)
        ]
        xyz = np.concatenate(
            [np.column_stack([scan[f"cartesian{axis}"] for axis in "XYZ"]) for scan in scans]
        )
        names = ("colorRed", "colorGreen", "colorBlue")
        if not all(name in scan for scan in scans for name in names):
            return Cloud(_near(xyz))
        rgb = np.concatenate([np.column_stack([scan[name] for name in names]) for scan in scans])
        return Cloud(_near(xyz), _bytes(rgb))


def survey_origin(xyz: NDArray[Any]) -> NDArray[np.float64]:
    """What is taken off points [N, 3], whole metres: 0 for a place near the origin."""
    if not len(xyz) or np.nanmax(np.abs(xyz)) < FAR:
        return np.zeros(3)
    origin: NDArray[np.float64] = np.floor(np.nanmin(xyz, axis=0))
    return origin


def _near(xyz: NDArray[np.float64]) -> NDArray[np.float32]:
    near: NDArray[np.float32] = (xyz - survey_origin(xyz)).astype(np.float32)
    return near


def _bytes(rgb: NDArray[Any]) -> NDArray[np.uint8]:
    # Some programs write bytes where the standard asks for 16 bits.
    return (rgb >> 8 if rgb.size and rgb.max() > 255 else rgb).astype(np.uint8)
