"""Every method as one call: cloud and count in, super-voxel of every point and time out."""

import subprocess
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
from scipy.spatial import cKDTree
from supervoxel_rivals.felzenszwalb import felzenszwalb

from otoc_ros.core.normals import voxel_normals
from otoc_ros.core.supervoxels import describe, supervoxels
from otoc_ros.core.voxel_graph import voxel_graph
from otoc_ros.core.voxels import mean_per_voxel, voxelize

REPEATS = 3


def ours(cloud, count):
    times = []
    for _ in range(REPEATS):
        begin = process_time()
        grid, xyz, rgb = _voxels(cloud)
        normal = voxel_normals(grid.coords, xyz)
        ids = supervoxels(grid.coords, xyz, rgb, normal, voxel_size=cloud.voxel_size, count=count)
        ids = ids[grid.voxel_of_point]
        times.append(1000 * (process_time() - begin))
    return ids, float(np.median(times))


def felzenszwalb_same_graph(cloud, count):
    begin = process_time()
    grid, xyz, rgb = _voxels(cloud)
    feature = describe(xyz, rgb, voxel_normals(grid.coords, xyz), cloud.voxel_size)
    first, other = voxel_graph(grid.coords, xyz, 15, max(1, count // 4))
    common = 1000 * (process_time() - begin)
    begin = process_time()
    label = felzenszwalb(feature, first, other, count, 15)
    # The search for the scale is not part of the method: one sort and one of its passes are.
    return label[grid.voxel_of_point], common + 1000 * (process_time() - begin) / 4


def vccs(program: Path, colour: float):
    def run(cloud, count):
        with tempfile.TemporaryDirectory() as folder:
            points, labels = Path(folder) / "points", Path(folder) / "labels"
            np.concatenate([cloud.xyz, cloud.rgb], 1).astype(np.float32).tofile(points)
            # Seeds lie on a grid: look for the spacing that leaves about `count` super-voxels.
            spacing = cloud.voxel_size * np.sqrt(
                len(voxelize(cloud.xyz, cloud.voxel_size).coords) / count
            )
            best = None
            for _ in range(5):
                arguments = [points, labels, cloud.voxel_size, spacing, colour]
                done = subprocess.run(
                    [str(a) for a in [program, *arguments]], capture_output=True, check=True
                )
                raw = np.fromfile(labels, np.uint32)
                found = len(np.unique(raw[raw > 0]))
                if best is None or abs(np.log(found / count)) < best[0]:
                    best = abs(np.log(max(found, 1) / count)), raw, float(done.stdout)
                if best[0] < 0.06:
                    break
                spacing *= np.sqrt(max(found, 1) / count)
        _, raw, milliseconds = best
        # What VCCS leaves without a label gets that of the nearest labelled point, at no charge.
        left = raw == 0
        if left.any() and not left.all():
            raw[left] = raw[~left][cKDTree(cloud.xyz[~left]).query(cloud.xyz[left])[1]]
        return np.unique(raw, return_inverse=True)[1], milliseconds

    return run


def cut_pursuit(python: Path, mode: str):
    worker = Path(__file__).with_name("cut_pursuit.py")

    def run(cloud, count):
        begin = process_time()
        grid, xyz, rgb = _voxels(cloud)
        task = {"mode": mode, "count": count, "xyz": xyz, "rgb": rgb}
        if mode == "ours":
            normal = voxel_normals(grid.coords, xyz)
            task["feature"] = describe(xyz, rgb, normal, cloud.voxel_size)
            task["first"], task["other"] = voxel_graph(grid.coords, xyz, 15, max(1, count // 4))
        before = 1000 * (process_time() - begin)
        with tempfile.TemporaryDirectory() as folder:
            given, answer = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(given, **task)
            subprocess.run([str(python), str(worker), str(given), str(answer)], check=True)
            with np.load(answer) as found:
                return found["label"][grid.voxel_of_point], before + float(found["ms"])

    return run


def _voxels(cloud):
    grid = voxelize(cloud.xyz, cloud.voxel_size)
    xyz = mean_per_voxel(cloud.xyz - grid.origin, grid)
    return grid, xyz, mean_per_voxel(cloud.rgb, grid) / np.float32(255)
