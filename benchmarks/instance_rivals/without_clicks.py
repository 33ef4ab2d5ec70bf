"""Objects on a table without any click: RANSAC and DBSCAN (Open3D), and LCCP (PCL)."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from offline_training.evaluation import PredictedObjects

HERE = Path(__file__).parent
PLANE = 0.01  # metres, RANSAC's distance to the plane of the table


def ransac_dbscan(eps: float, min_points: int):
    """The table is the plane of most points; what stands on it is clustered by distance."""
    import open3d

    def method(xyz, rgb):
        open3d.utility.random.seed(0)
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz.astype(np.float64)))
        _, plane = cloud.segment_plane(PLANE, 3, 1000)
        rest = np.setdiff1d(np.arange(len(xyz)), plane)
        label = np.array(cloud.select_by_index(rest).cluster_dbscan(eps, min_points))
        segment = np.full(len(xyz), -1)
        segment[rest] = label
        return segment

    return method


def lccp(program: Path, seed: float, degrees: float):
    """Convex patches; a patch mostly on the plane of the table is the table."""

    def method(xyz, rgb):
        with tempfile.TemporaryDirectory() as folder:
            points, labels = Path(folder) / "points", Path(folder) / "labels"
            np.column_stack([xyz, rgb]).astype(np.float32).tofile(points)
            scale = ["0.0075", str(seed), str(degrees)]
            subprocess.run([str(program), str(points), str(labels), *scale], check=True)
            segment = np.fromfile(labels, np.uint32).astype(np.int64) - 1
        on_table = ransac_plane(xyz)
        count = np.bincount(segment[segment >= 0])
        flat = np.bincount(segment[(segment >= 0) & on_table], minlength=len(count))
        table = flat > 0.5 * np.maximum(count, 1)
        segment[(segment >= 0) & table[segment]] = -1
        return segment

    return method


def ransac_plane(xyz: np.ndarray) -> np.ndarray:
    """Which points lie on the plane of most points: bool [N]."""
    rng = np.random.default_rng(0)
    best = np.zeros(len(xyz), bool)
    for _ in range(300):
        a, b, c = xyz[rng.choice(len(xyz), 3, replace=False)].astype(np.float64)
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal)
        if length > 1e-9:
            near = np.abs((xyz - a) @ (normal / length)) < PLANE
            if near.sum() > best.sum():
                best = near
    return best


def as_objects(segment: np.ndarray, class_id: int) -> PredictedObjects:
    """Segments -1, 0, 1 … as objects of a class; the larger, the likelier it is one."""
    ids, instance = np.unique(segment, return_inverse=True)
    instance = instance.reshape(-1) + (0 if ids[0] < 0 else 1)
    size = np.bincount(instance)[1:]
    score = size / max(size.max(initial=1), 1)
    return PredictedObjects(
        instance.astype(np.int32), np.full(len(size), class_id, np.int32), score.astype(np.float64)
    )


def build_lccp(cache: Path) -> Path | None:
    """The LCCP driver; None where libpcl-dev or a compiler is missing."""
    source = HERE / "lccp.cpp"
    program = cache / f"lccp-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if program.exists():
        return program
    headers = sorted(Path("/usr/include").glob("pcl-*"))
    if not headers or shutil.which("g++") is None:
        print("no LCCP: apt-get install g++ libpcl-dev", file=sys.stderr)
        return None
    names = ("segmentation", "search", "octree", "kdtree", "common")
    libraries = [f"-lpcl_{name}" for name in names]
    includes = [f"-I{headers[-1]}", "-I/usr/include/eigen3"]
    command = ["g++", "-O2", "-std=c++17", *includes, str(source), "-o", str(program), *libraries]
    subprocess.run(command, check=True)
    return program
