"""RGB-D folders with a trajectory: TUM's (`depth.txt`) and Redwood's (`trajectory.log`).

Layouts: Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems" (IROS 2012), the file
formats page of that benchmark; Choi et al., "Robust Reconstruction of Indoor Scenes" (CVPR 2015),
as Open3D reads and writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.fusing.transforms import Transform, TransformError, TransformTree
from otoc_ros.site.fusing.views import PosedView
from otoc_ros.site.readers.guard import reading

TUM_UNITS = 5000.0  # steps a metre of TUM's depth images
REDWOOD_UNITS = 1000.0
PAIRED = 0.02  # seconds between a depth image and its colour image
FARTHEST = 8.0  # metres; farther depth of such cameras means nothing
PERIOD = 33_333_333  # nanoseconds between two images of Redwood, which has no times
COLOURS = ("color", "rgb", "image")


class Pinhole(NamedTuple):
    """Focal lengths and middle of an image, pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


PRIMESENSE = Pinhole(525.0, 525.0, 319.5, 239.5)  # what both benchmarks say to use by default
FREIBURG = {
    "freiburg1": Pinhole(517.3, 516.5, 318.6, 255.3),
    "freiburg2": Pinhole(520.9, 521.0, 325.1, 249.7),
    "freiburg3": Pinhole(535.4, 539.2, 320.1, 247.6),
}


def is_rgbd(folder: Path) -> bool:
    """Whether it is a recording in TUM's or Redwood's layout."""
    return (folder / "depth.txt").exists() or bool(
        (folder / "depth").is_dir() and _trajectory(folder)
    )


def posed_images(folder: Path) -> Iterator[PosedView]:
    """The depth images with poses in the trajectory's world; nothing is decoded yet.

    Images of TUM's layout without a pose at their time are left out.

    Raises:
        InputError: a list, the trajectory or, when it is decoded, an image is missing or damaged.
        ModuleNotFoundError: pillow is missing.
    """
    return _tum(folder) if (folder / "depth.txt").exists() else _redwood(folder)


def _tum(folder: Path) -> Iterator[PosedView]:
    camera = next((c for name, c in FREIBURG.items() if name in folder.resolve().name), PRIMESENSE)
    tree = TransformTree()
    poses = _rows(folder / "groundtruth.txt", 8)
    told = iter([(float(row[0]), np.array(row[1:], np.float64)) for row in poses])
    colours = _rows(folder / "rgb.txt", 2) if (folder / "rgb.txt").exists() else []
    times = np.array([float(row[0]) for row in colours])
    latest, found = -np.inf, 0
    for stamp_text, name in _rows(folder / "depth.txt", 2):
        stamp = float(stamp_text)
        while latest < stamp + 1:
            seconds, numbers = next(told, (np.inf, np.zeros(7)))
            latest = seconds
            if np.isfinite(seconds):
                place, turn = tuple(numbers[:3]), tuple(numbers[3:])
                tree.add(Transform("world", "camera", round(seconds * 1e9), place, turn))
        try:
            pose = tree.lookup("world", "camera", round(stamp * 1e9))
        except TransformError:
            continue
        found += 1
        colour = None
        if len(times):
            nearest = int(np.argmin(np.abs(times - stamp)))
            if abs(times[nearest] - stamp) <= PAIRED:
                colour = folder / colours[nearest][1]
        decode = partial(_view, folder / name, colour, camera, TUM_UNITS)
        yield PosedView(round(stamp * 1e9), "camera", pose, decode)
    if not found:
        raise InputError(f"{folder}: no time of depth.txt lies within groundtruth.txt; they differ")


def _redwood(folder: Path) -> Iterator[PosedView]:
    trajectory = _trajectory(folder)
    assert trajectory is not None
    with reading(trajectory, "trajectory"):
        numbers = trajectory.read_text().split()
        if len(numbers) % 19:
            raise InputError(f"its {len(numbers)} numbers are no blocks of 3 and 4 x 4; cut short?")
        poses = np.array(numbers, np.float64).reshape(-1, 19)[:, 3:].reshape(-1, 4, 4)
    depths = sorted((folder / "depth").glob("*.png"))
    if len(depths) != len(poses):
        raise InputError(f"{trajectory} has {len(poses)} poses for {len(depths)} depth images")
    colours: list[Any] = next((c for name in COLOURS if (c := _images(folder / name))), [])
    if len(colours) != len(depths):
        colours = [None] * len(depths)
    camera = _intrinsic(folder)
    for number, (depth, colour, pose) in enumerate(zip(depths, colours, poses, strict=True)):
        decode = partial(_view, depth, colour, camera, REDWOOD_UNITS)
        yield PosedView(number * PERIOD, "camera", pose, decode)


def _trajectory(folder: Path) -> Path | None:
    return next(iter(sorted([*folder.glob("*.log"), *folder.glob("scene/*.log")])), None)


def _images(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.jpg"), *folder.glob("*.png")])


def _intrinsic(folder: Path) -> Pinhole:
    """Open3D's camera file, if there is one: a 3 x 3 matrix column by column."""
    files = [folder / "camera_intrinsic.json", folder / "intrinsic.json"]
    path = next((path for path in files if path.exists()), None)
    if path is None:
        return PRIMESENSE
    with reading(path, "camera"):
        m = json.loads(path.read_text())["intrinsic_matrix"]
        return Pinhole(float(m[0]), float(m[4]), float(m[6]), float(m[7]))


def _rows(path: Path, columns: int) -> list[list[str]]:
    with reading(path, "list of a TUM recording"):
        rows = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            row = line.split()
            if not row or row[0].startswith("#"):
                continue
            if len(row) < columns:
                raise InputError(f"line {number} has {len(row)} of {columns} columns")
            rows.append(row[:columns])
        return rows


def _view(depth: Path, colour: Path | None, camera: Pinhole, units: float) -> Cloud:
    from PIL import Image

    with reading(depth, "depth image"), Image.open(depth) as image:
        z = np.asarray(image).astype(np.float32) / np.float32(units)
        if z.ndim != 2:
            raise InputError("it is a colour image; depth is one 16-bit channel")
    z = np.where((z > 0) & (z < FARTHEST), z, np.float32("nan"))
    v, u = np.indices(z.shape, dtype=np.float32)
    xyz = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=-1)
    rgb: NDArray[np.uint8] | None = None
    if colour is not None:
        with reading(colour, "image"), Image.open(colour) as image:
            rgb = np.asarray(image.convert("RGB"))
            if rgb.shape[:2] != z.shape:
                raise InputError(f"it has {rgb.shape[:2]} pixels but its depth image {z.shape}")
            rgb = rgb.reshape(-1, 3)
    return Cloud(xyz.reshape(-1, 3), rgb)
