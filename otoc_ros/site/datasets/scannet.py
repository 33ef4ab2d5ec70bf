"""ScanNet: `sceneXXXX_YY/` with its mesh, NYU40 labels, and instances from the segmentation.

Layout: Dai et al., "ScanNet" (CVPR 2017) and the data set's own README.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData

from otoc_ros.core.errors import InputError
from otoc_ros.site.datasets.labelled import LabelledScan
from otoc_ros.site.readers.guard import reading
from otoc_ros.site.readers.ply import read_ply

MESH = "_vh_clean_2.ply"
LABELS = "_vh_clean_2.labels.ply"
SEGMENTS = "_vh_clean_2.0.010000.segs.json"
OBJECTS = (".aggregation.json", "_vh_clean.aggregation.json")

# By number, from 1; "refridgerator" in the original.
NYU40 = """
wall, floor, cabinet, bed, chair, sofa, table, door, window, bookshelf, picture, counter, blinds,
desk, shelves, curtain, dresser, pillow, mirror, floor mat, clothes, ceiling, books, refrigerator,
television, paper, towel, shower curtain, box, whiteboard, person, night stand, toilet, sink, lamp,
bathtub, bag, otherstructure, otherfurniture, otherprop
"""
NAMES = [name.strip() for name in NYU40.split(",")]


def is_scannet(folder: Path) -> bool:
    """Whether it is a scene of ScanNet or a folder of such scenes."""
    return bool(_scenes(folder))


def read_scannet(folder: Path) -> Iterator[LabelledScan]:
    """The scenes of a folder; without label files (the hidden test set) without labels.

    Raises:
        InputError: a file is damaged or does not fit the mesh.
    """
    for scene in _scenes(folder):
        cloud = read_ply(_part(scene, MESH))
        labels = _part(scene, LABELS)
        if not labels.exists():
            yield LabelledScan(scene.name, cloud)
            continue
        with reading(labels, "ScanNet labels"):
            number = np.asarray(PlyData.read(labels)["vertex"].data["label"], np.int64)
            if len(number) != len(cloud):
                raise InputError(f"it labels {len(number)} points of {len(cloud)}")
        row = np.where((number >= 1) & (number <= len(NAMES)), number - 1, -1)
        yield LabelledScan(scene.name, cloud, NAMES, row, _instances(scene, len(cloud)))


def _scenes(folder: Path) -> list[Path]:
    if _part(folder, MESH).exists():
        return [folder]
    return sorted(path for path in folder.glob("scene*") if _part(path, MESH).exists())


def _part(scene: Path, ending: str) -> Path:
    return scene / f"{scene.resolve().name}{ending}"


def _instances(scene: Path, count: int) -> NDArray[np.int32] | None:
    segments = _part(scene, SEGMENTS)
    objects = next((p for p in (_part(scene, end) for end in OBJECTS) if p.exists()), None)
    if objects is None or not segments.exists():
        return None
    segment = np.asarray(_json(segments)["segIndices"], np.int64)
    if len(segment) != count:
        raise InputError(f"{segments} has {len(segment)} points but the mesh {count}")
    numbers = np.zeros(int(segment.max()) + 1, np.int32)
    for group in _json(objects)["segGroups"]:
        known = np.asarray(group["segments"], np.int64)
        numbers[known[known < len(numbers)]] = int(group["objectId"]) + 1
    return numbers[segment]


def _json(path: Path) -> Any:
    with reading(path, "JSON"):
        return json.loads(path.read_text())
