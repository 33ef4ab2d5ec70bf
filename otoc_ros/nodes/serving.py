"""The loaded bundle that the node serves with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.pointcloud2 import warm_up
from otoc_ros.nodes.messages import bundle_hash
from otoc_ros.perception import Corrections, Perception, ShownClouds

FALLBACK = "CPUExecutionProvider"


@dataclass(frozen=True, eq=False)
class Serving:
    """A bundle that is loaded, verified and warm, and what happens while it serves.

    Attributes:
        perception: the pipeline.
        corrections: what a person taught this bundle.
        shown: the last clouds that were labelled with it.
        state: what diagnostics say of it, by key.
    """

    perception: Perception
    corrections: Corrections
    shown: ShownClouds
    state: dict[str, str]


def load(
    path: Path,
    site: Path,
    banks: Path,
    providers: Sequence[str],
    threads: int,
    warn: Callable[[str], object],
    *,
    native_kernel: bool = True,
    leave_unknown: bool = False,
) -> Serving:
    """Load a bundle, and label one small cloud so that the first real one finds all compiled.

    Args:
        path: folder of the bundle.
        site, banks: folders of what a person teaches it; they need not exist yet.
        providers: wished for; those that are not installed are told to `warn` and left out.
        native_kernel: on the CPU, let the C++ kernel run the sparse networks where it was built.
        leave_unknown: give no class to what is stranger than the bundle's threshold.

    Raises:
        InputError: the bundle cannot be used.
    """
    begin = perf_counter()
    installed = onnxruntime.get_available_providers()
    for missing in [name for name in providers if name not in installed]:
        warn(
            f"ONNX Runtime has no {missing} (it has {', '.join(installed)}): going on without it; "
            "install the onnxruntime package that brings it"
        )
    usable = [name for name in dict.fromkeys([*providers, FALLBACK]) if name in installed]
    perception = Perception(
        path,
        providers=usable,
        threads=threads,
        prefer_native=native_kernel,
        leave_unknown=leave_unknown,
    )
    perception(_doll_house())
    warm_up()
    hashed = bundle_hash(perception.info)
    size = perception.preprocessing.voxel_size
    corrections = Corrections(perception.untaught, hashed, banks, site, size)
    if corrections.problem:
        warn(corrections.problem)
    seconds = perf_counter() - begin
    state = {
        "bundle": str(path),
        "bundle name": perception.info.name,
        "bundle hash": hashed,
        "classes": str(len(perception.info.classes)),
        "providers": ", ".join(usable),
        "runner": perception.runner,
        "threads": str(threads),
        "loaded and warmed in [s]": f"{seconds:.2f}",
        "site": str(site),
    }
    return Serving(perception, corrections, ShownClouds(), state)


def _doll_house() -> Cloud:
    """A floor of 2 m with a box on it: enough for every stage to have something to do."""
    rng = np.random.default_rng(0)
    floor = rng.random((4000, 3)) * [2, 2, 0]
    box = rng.random((1500, 3)) * [0.5, 0.5, 0.5] + [0.7, 0.7, 0.0]
    side = np.arange(len(box)) % 3  # each point lies on one of three faces
    box[np.arange(len(box)), side] = np.array([1.2, 1.2, 0.5])[side]
    xyz = np.concatenate([floor, box]).astype(np.float32)
    return Cloud(xyz, rng.integers(0, 256, xyz.shape).astype(np.uint8))
