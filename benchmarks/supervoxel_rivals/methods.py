"""Every method as one call: cloud, count and scale in; super-voxels, time and scale out.

    ids, ms, scale = method(cloud, count, scale)

Rivals have a scale instead of a count. Without a scale they look for the one that meets the count;
with it they run once, which is what is timed. ids int64 [N]; ms is processor time from points to
labelled points. Ours takes the count, and `count` None is the default size of `preprocess`.
"""

import subprocess
import tempfile
from pathlib import Path
from time import process_time

import numpy as np
from scipy.spatial import cKDTree
from supervoxel_rivals.felzenszwalb import felzenszwalb

from otoc_ros.core.normals import sharp_normals
from otoc_ros.core.supervoxels import describe, supervoxels
from otoc_ros.core.voxel_graph import voxel_graph
from otoc_ros.core.voxels import mean_per_voxel, voxelize


def ours(cloud, count, scale=None):
    begin = process_time()
    grid, xyz, rgb = _voxels(cloud)
    normal = sharp_normals(grid.coords, xyz)
    ids = supervoxels(grid.coords, xyz, rgb, normal, voxel_size=cloud.voxel_size, count=count)
    ids = ids[grid.voxel_of_point]
    return ids, 1000 * (process_time() - begin), 0.0


def felzenszwalb_our_features(cloud, count, scale=None):
    begin = process_time()
    grid, feature, first, other = _our_graph(cloud, count)
    label, found = felzenszwalb(feature, first, other, count, 8, scale)
    return label[grid.voxel_of_point], 1000 * (process_time() - begin), found


def vccs(program: Path, colour: float):
    def run(cloud, count, scale=None):
        # Seeds lie on a grid: look for the spacing that leaves about `count` super-voxels.
        voxels = len(voxelize(cloud.xyz, cloud.voxel_size).coords)
        spacing = cloud.voxel_size * np.sqrt(voxels / count) if scale is None else scale
        best = None
        with tempfile.TemporaryDirectory() as folder:
            points, labels = Path(folder) / "points", Path(folder) / "labels"
            np.concatenate([cloud.xyz, cloud.rgb], 1).astype(np.float32).tofile(points)
            for _ in range(5 if scale is None else 1):
                arguments = [points, labels, cloud.voxel_size, spacing, colour]
                done = subprocess.run(
                    [str(a) for a in [program, *arguments]], capture_output=True, check=True
                )
                raw = np.fromfile(labels, np.uint32)
                found = len(np.unique(raw[raw > 0]))
                off = abs(np.log(max(found, 1) / count))
                if best is None or off < best[0]:
                    best = off, raw, float(done.stdout), spacing
                if off < 0.06:
                    break
                spacing *= np.sqrt(max(found, 1) / count)
        _, raw, milliseconds, spacing = best
        # What VCCS leaves without a label gets that of the nearest labelled point, at no charge.
        left = raw == 0
        if left.any() and not left.all():
            raw[left] = raw[~left][cKDTree(cloud.xyz[~left]).query(cloud.xyz[left])[1]]
        return np.unique(raw, return_inverse=True)[1], milliseconds, spacing

    return run


def cut_pursuit(python: Path, mode: str):
    worker = Path(__file__).with_name("cut_pursuit.py")

    def run(cloud, count, scale=None):
        begin = process_time()
        task = {"mode": mode, "count": count, "scale": np.nan if scale is None else scale}
        if mode == "ours":
            grid, task["feature"], task["first"], task["other"] = _our_graph(cloud, count)
        else:
            grid, task["xyz"], task["rgb"] = _voxels(cloud)
        before = 1000 * (process_time() - begin)
        with tempfile.TemporaryDirectory() as folder:
            given, answer = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(given, **task)
            subprocess.run([str(python), str(worker), str(given), str(answer)], check=True)
            with np.load(answer) as found:
                ids = found["label"][grid.voxel_of_point]
                return ids, before + float(found["ms"]), float(found["scale"])

    return run


def _voxels(cloud):
    grid = voxelize(cloud.xyz, cloud.voxel_size)
    xyz = mean_per_voxel(cloud.xyz - grid.origin, grid)
    return grid, xyz, mean_per_voxel(cloud.rgb, grid) / np.float32(255)


def _our_graph(cloud, count):
    grid, xyz, rgb = _voxels(cloud)
    feature = describe(xyz, rgb, sharp_normals(grid.coords, xyz), cloud.voxel_size)
    first, other = voxel_graph(grid.coords, xyz, 8, max(1, count // 4))
    return grid, feature, first, other
