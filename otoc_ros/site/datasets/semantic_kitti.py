"""SemanticKITTI: `sequences/NN/velodyne/*.bin`, `labels/*.label`, `poses.txt`, `calib.txt`.

Layout: Behley et al., "SemanticKITTI" (ICCV 2019), and its semantic-kitti.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.datasets.labelled import LabelledScan
from otoc_ros.site.fusing.views import PosedView
from otoc_ros.site.readers.guard import reading

PERIOD = 100_000_000  # nanoseconds between two turns of the lidar, where times.txt is missing

# What moves is of the class that it is when it stands; lane markings are road.
NUMBERS = {
    "car": (10, 252),
    "bicycle": (11,),
    "bus": (13, 257),
    "motorcycle": (15,),
    "on-rails": (16, 256),
    "truck": (18, 258),
    "other-vehicle": (20, 259),
    "person": (30, 254),
    "bicyclist": (31, 253),
    "motorcyclist": (32, 255),
    "road": (40, 60),
    "parking": (44,),
    "sidewalk": (48,),
    "other-ground": (49,),
    "building": (50,),
    "fence": (51,),
    "other-structure": (52,),
    "vegetation": (70,),
    "trunk": (71,),
    "terrain": (72,),
    "pole": (80,),
    "traffic-sign": (81,),
    "other-object": (99,),
}
NAMES = tuple(NUMBERS)


def is_semantic_kitti(folder: Path) -> bool:
    """Whether it is one sequence: a folder with `velodyne/*.bin`."""
    return any((folder / "velodyne").glob("*.bin"))


def read_semantic_kitti(folder: Path) -> Iterator[LabelledScan]:
    """Every turn of the lidar with its labels, where there are any; z is up.

    Raises:
        InputError: a file is cut short, or labels do not fit their scan.
    """
    table = np.full(2**16, -1, np.int64)
    for row, numbers in enumerate(NUMBERS.values()):
        table[list(numbers)] = row
    for file in sorted((folder / "velodyne").glob("*.bin")):
        cloud = _cloud(file)
        name = f"{folder.resolve().name}_{file.stem}"
        labels = folder / "labels" / f"{file.stem}.label"
        if not labels.exists():
            yield LabelledScan(name, cloud)
            continue
        with reading(labels, "SemanticKITTI labels"):
            packed = np.fromfile(labels, "<u4")
            if len(packed) != len(cloud):
                raise InputError(f"it labels {len(packed)} points of {len(cloud)}")
        # Instances are numbered within their class.
        pair = (packed & 0xFFFF).astype(np.int64) << 16 | packed >> 16
        _, number = np.unique(pair, return_inverse=True)
        number = np.where(packed >> 16, number.reshape(-1) + 1, 0)
        yield LabelledScan(name, cloud, NAMES, table[packed & 0xFFFF], number)


def posed_turns(folder: Path) -> Iterator[PosedView]:
    """Every turn of the lidar with its pose in the frame of the first turn; nothing is decoded yet.

    Raises:
        InputError: poses.txt or calib.txt is missing, damaged or too short.
    """
    files = sorted((folder / "velodyne").glob("*.bin"))
    with reading(folder / "calib.txt", "KITTI calibration"):
        lines = (folder / "calib.txt").read_text().splitlines()
        row = next((line for line in lines if line.startswith("Tr:")), None)
        if row is None:
            raise InputError("it has no line Tr: of the lidar")
        mount = _pose(np.array(row.split()[1:], np.float64))
    with reading(folder / "poses.txt", "KITTI poses"):
        rows = np.loadtxt(folder / "poses.txt", ndmin=2)
        if rows.shape != (len(files), 12):
            raise InputError(f"it holds {rows.shape} numbers for {len(files)} scans; 12 each")
    for number, (file, numbers) in enumerate(zip(files, rows, strict=True)):
        # The file tells where the camera was.
        pose = np.linalg.inv(mount) @ _pose(numbers) @ mount
        yield PosedView(number * PERIOD, "velodyne", pose, partial(_cloud, file))


def _cloud(file: Path) -> Cloud:
    with reading(file, "KITTI scan"):
        size = file.stat().st_size
        if size % 16:
            raise InputError(f"its {size} bytes are no rows of x y z remission; copy it again")
        return Cloud(np.fromfile(file, "<f4").reshape(-1, 4)[:, :3])


def _pose(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3] = numbers.reshape(3, 4)
    return pose
