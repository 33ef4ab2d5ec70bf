"""The scenes of a training on disk, so that memory holds those alone that a step looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from offline_training.mapped import Arrays, map_arrays, write_arrays
from offline_training.scenes import Mark, TrainingCloud, TrainingScene
from otoc_ros.core.preprocess import Prepared, Preprocessing
from otoc_ros.core.voxels import VoxelGrid

Item = TypeVar("Item")

KINDS = ("click", "accept", "exclude")
_CLOUD = tuple(field.name for field in fields(TrainingCloud))
_GRID = ("coords", "voxel_of_point", "points_per_voxel", "origin")
_PREPARED = (
    "rotation", "voxel_of_point", "xyz", "rgb", "normal", "height", "features", "supervoxel"
)  # fmt: skip


class OneByOne(Sequence[Item]):
    """A sequence that makes its items anew whenever they are asked for and keeps none."""

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Item]: ...
    def __getitem__(self, row: int | slice) -> Item | Sequence[Item]:
        if isinstance(row, slice):
            return [self._make(each) for each in range(*row.indices(self._count))]
        if not 0 <= row < self._count:
            raise IndexError(row)
        return self._make(int(row))


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

    def write_scene(self, row: int, scene: TrainingScene, graph: csr_matrix) -> None:
        """Keep a scene and the graph of its touching super-voxels."""
        prepared = scene.prepared
        marks = [
            (KINDS.index(mark.kind), mark.class_id, mark.object, mark.supervoxel)
            for mark in scene.marks
        ]
        arrays: Arrays = {
            "marks": np.array(marks, np.int64).reshape(-1, 4),
            "sensors": scene.sensors,
            "n_supervoxels": np.array(prepared.n_supervoxels),
            **_named("prepared", prepared, _PREPARED),
            **_named("grid", prepared.grid, _GRID),
            **_named("graph", graph, ("data", "indices", "indptr")),
        }
        for number, cloud in enumerate(scene.clouds):
            arrays |= _named(f"cloud{number}", cloud, _CLOUD)
        self.write(row, "scene", arrays)

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
        clouds: list[TrainingCloud] = []
        while part := _part(arrays, f"cloud{len(clouds)}"):
            clouds.append(TrainingCloud(**({"rgb": None} | part)))
        marks = tuple(Mark(KINDS[kind], *rest) for kind, *rest in arrays["marks"].tolist())
        return TrainingScene(self.names[row], prepared, tuple(clouds), marks, arrays["sensors"])

    def graph(self, row: int) -> csr_matrix:
        """From `touching`."""
        arrays = self.read(row, "scene")
        size = int(arrays["n_supervoxels"])
        part = _part(arrays, "graph")
        return csr_matrix((part["data"], part["indices"], part["indptr"]), shape=(size, size))


def _named(prefix: str, value: object, names: Sequence[str]) -> Arrays:
    parts = {name: getattr(value, name) for name in names}
    return {f"{prefix}.{name}": part for name, part in parts.items() if part is not None}


def _part(arrays: Arrays, prefix: str) -> dict[str, Any]:
    start = f"{prefix}."
    return {key[len(start) :]: value for key, value in arrays.items() if key.startswith(start)}
