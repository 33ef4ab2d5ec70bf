"""The scenes of a training on disk, so that memory holds those alone that a step looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from offline_training.mapped import Arrays, map_arrays, write_arrays
from offline_training.one_by_one import OneByOne
from offline_training.scenes import DOUBTED, Mark, TrainingCloud, TrainingScene
from otoc_ros.core.preprocess import Prepared, Preprocessing
from otoc_ros.core.voxels import VoxelGrid

KINDS = ("click", "accept", "exclude", DOUBTED)
_CLOUD = ("xyz", "rgb", "normal", "height", "voxel")
_GRID = ("coords", "voxel_of_point", "points_per_voxel", "origin")
_PREPARED = (
    "rotation", "voxel_of_point", "xyz", "rgb", "normal", "height", "features", "supervoxel"
)  # fmt: skip


class SceneStore:
    """A folder with a few files a scene, each of arrays that are mapped when they are read.

    Args:
        folder: exists; several processes may share it.
        names: of the scenes; rows below are theirs.
        settings: how the scenes were prepared.
    """

    def __init__(self, folder: Path, names: Sequence[str], settings: Preprocessing) -> None:
        self.folder, self.names, self.settings = folder, list(names), settings

    def write(self, row: int, kind: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep what was found out about a scene; replaces what was kept under that name."""
        write_arrays(self.folder / f"{row:05d}.{kind}", arrays)

    def read(self, row: int, kind: str) -> Arrays:
        return map_arrays(self.folder / f"{row:05d}.{kind}")

    def write_scene(self, row: int, scene: TrainingScene, paths: csr_matrix) -> None:
        """Keep a scene and the paths of objects over its super-voxels."""
        prepared = scene.prepared
        self.write_marks(row, scene.marks)
        arrays: Arrays = {
            "sensors": scene.sensors,
            "n_supervoxels": np.array(prepared.n_supervoxels),
            **_named("prepared", prepared, _PREPARED),
            **_named("grid", prepared.grid, _GRID),
            **_named("paths", paths, ("data", "indices", "indptr")),
        }
        for kind, clouds in (("part", scene.parts), ("view", scene.views)):
            arrays[f"{kind}s"] = np.array(len(clouds))
            for number, cloud in enumerate(clouds):
                self._write_cloud(row, f"{kind}{number}", cloud)
        self.write(row, "scene", arrays)

    def write_marks(self, row: int, marks: Sequence[Mark]) -> None:
        """Keep a scene's marks, in place of those that it had."""
        rows = [
            (KINDS.index(mark.kind), mark.class_id, mark.object, mark.supervoxel) for mark in marks
        ]
        self.write(row, "marks", {"marks": np.array(rows, np.int64).reshape(-1, 4)})

    def scene(self, row: int) -> TrainingScene:
        arrays = self.read(row, "scene")
        grid = VoxelGrid(**_part(arrays, "grid"), voxel_size=self.settings.voxel_size)
        described = {"rgb": None} | _part(arrays, "prepared")
        prepared = Prepared(
            settings=self.settings,
            grid=grid,
            n_supervoxels=int(arrays["n_supervoxels"]),
            **described,
        )
        parts, views = (
            OneByOne(int(arrays[f"{kind}s"]), partial(self._cloud, row, kind))
            for kind in ("part", "view")
        )
        rows = self.read(row, "marks")["marks"].tolist()
        marks = tuple(Mark(KINDS[kind], *rest) for kind, *rest in rows)
        return TrainingScene(self.names[row], prepared, parts, views, marks, arrays["sensors"])

    def _write_cloud(self, row: int, kind: str, cloud: TrainingCloud) -> None:
        self.write(row, kind, _there(cloud, _CLOUD) | {"density": np.array(cloud.density)})

    def _cloud(self, row: int, kind: str, number: int) -> TrainingCloud:
        arrays: dict[str, Any] = {"rgb": None} | self.read(row, f"{kind}{number}")
        return TrainingCloud(**(arrays | {"density": float(arrays["density"])}))

    def paths(self, row: int) -> csr_matrix:
        """From `object_paths`."""
        arrays = self.read(row, "scene")
        size = int(arrays["n_supervoxels"])
        part = _part(arrays, "paths")
        return csr_matrix((part["data"], part["indices"], part["indptr"]), shape=(size, size))


def _named(prefix: str, value: object, names: Sequence[str]) -> Arrays:
    return {f"{prefix}.{name}": part for name, part in _there(value, names).items()}


def _there(value: object, names: Sequence[str]) -> Arrays:
    """Those of an object's arrays that are not None."""
    parts = {name: getattr(value, name) for name in names}
    return {name: part for name, part in parts.items() if part is not None}


def _part(arrays: Arrays, prefix: str) -> dict[str, Any]:
    start = f"{prefix}."
    return {key[len(start) :]: value for key, value in arrays.items() if key.startswith(start)}
