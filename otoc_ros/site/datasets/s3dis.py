"""S3DIS: `Area_N/room_K/Annotations/class_J.txt`, lines of x y z r g b.

Layout: Armeni et al., "3D Semantic Parsing of Large-Scale Indoor Spaces" (CVPR 2016),
Stanford3dDataset_v1.2_Aligned_Version.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.datasets.labelled import LabelledScan
from otoc_ros.site.readers.guard import reading

ANNOTATIONS = "Annotations"


def is_s3dis(folder: Path) -> bool:
    """Whether it is a room of S3DIS, or an area of rooms."""
    return bool(_rooms(folder))


def read_s3dis(folder: Path) -> Iterator[LabelledScan]:
    """The rooms of a folder. Every object's file is one instance of the class in its name.

    Raises:
        InputError: a file is damaged: its name and, where it can be told, the line.
    """
    for room in _rooms(folder):
        parts, names = [], []
        for file in sorted((room / ANNOTATIONS).glob("*.txt")):
            with reading(file, "S3DIS annotation"):
                table = np.loadtxt(file, dtype=np.float64, ndmin=2)
                if table.shape[1] != 6:
                    raise InputError(f"it has {table.shape[1]} columns; S3DIS has x y z r g b")
            parts.append(table)
            names.append(file.stem.rpartition("_")[0])
        if not parts:
            raise InputError(f"{room / ANNOTATIONS} holds no .txt files; unpack it again")
        points = np.concatenate(parts)
        classes = sorted(set(names))
        counts = [len(part) for part in parts]
        yield LabelledScan(
            f"{room.resolve().parent.name}_{room.resolve().name}",
            Cloud(points[:, :3].astype(np.float32), points[:, 3:].clip(0, 255).astype(np.uint8)),
            classes,
            np.repeat([classes.index(name) for name in names], counts),
            np.repeat(np.arange(1, len(parts) + 1), counts),
        )


def _rooms(folder: Path) -> list[Path]:
    if (folder / ANNOTATIONS).is_dir():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{ANNOTATIONS}"))
