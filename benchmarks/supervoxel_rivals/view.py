"""A depth view of 640 x 480: super-voxels, everything included, and the ONNX U-Net beside it."""

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from supervoxel_rivals import methods
from supervoxel_rivals.clouds import Labelled, pictured_view

from otoc_ros.core.preprocess import SUPERVOXEL_SIZE_AT_1_M
from otoc_ros.core.voxels import voxelize

VOXEL_SIZE = 0.02
REPEATS = 7


def view(data: Path | None, seed: int, cache: Path) -> list[dict]:
    """One row a view: a simulated one, and a recorded one where the recordings are.

    Wall time, as the ONNX side may use two threads; ours uses one. The ratio is to the faster of
    one and two: on a busy machine the second thread costs time. The U-Net is the preset `small`,
    its kernel maps and feeds included.
    """
    frame = pictured_view(cache)
    found = [("simulated", frame["xyz"], frame["rgb"])]
    if data:
        from otoc_ros.site.readers import read_cloud

        scan = read_cloud(data / "scans" / "office_corner.pcd")
        found.append(("office_corner", scan.xyz, scan.rgb))
    return [_row(name, xyz, rgb, seed) for name, xyz, rgb in found]


def _row(name: str, xyz: np.ndarray, rgb: np.ndarray, seed: int) -> dict:
    none = np.zeros(0, np.int64)

    def ours() -> None:
        seen = np.isfinite(xyz).all(1)
        cloud = Labelled(name, xyz[seen], rgb[seen], none, none, VOXEL_SIZE, none)
        methods.ours(cloud, count)

    coords = voxelize(xyz[np.isfinite(xyz).all(1)], VOXEL_SIZE).coords
    count = round(len(coords) * VOXEL_SIZE / SUPERVOXEL_SIZE_AT_1_M**2)
    row = {"view": name, "pixels": len(xyz), "voxels": len(coords), "count": count}
    row["ours_ms"] = _milliseconds(ours)
    spent = [_unet(coords, threads, seed) for threads in (1, 2)]
    row["unet_onnx_ms_1_threads"], row["unet_onnx_ms_2_threads"] = spent
    row["ratio"] = row["ours_ms"] / min(spent)
    return {key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()}


def _unet(coords: np.ndarray, threads: int, seed: int) -> float:
    from sparse_engine_stages.engines import forward_engines, make_case

    with tempfile.TemporaryDirectory() as folder:
        case = make_case("view", coords, "small", seed, Path(folder))
        return _milliseconds(forward_engines(case, threads)["onnx"])


def _milliseconds(run) -> float:
    run()
    spent = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        run()
        spent.append(1000 * (time.perf_counter() - begin))
    return median(spent)
