"""From a bag to a fused scan: speed, surface error and memory, against Open3D's TSDF integration.

    python benchmarks/import_bag.py --quick --json import_bag.json

A simulated depth camera and a simulated lidar are carried through rooms (`offline_training.rooms`)
whose triangles are known; their clouds are written to rosbag2 files and imported as `otoc import`
does, each in a process of its own, whose peak memory is read at its end. The real `tabletop_bag` is
taken from OTOC_DATA. Open3D integrates the same images with the same poses at the same voxel size
in the same run. The surface error is the mean distance of the fused points to the triangles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from computer import processor
from peak_memory import peak_megabytes
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from offline_training.rooms.camera import Camera, Shutter
from offline_training.rooms.path import camera_path
from offline_training.rooms.room import generator_hash, prepare
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import encode_colours, fields_of
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.fusing.voxel_map import VoxelMap
from otoc_ros.site.importer import import_drive
from otoc_ros.site.site import Site

STORE = get_typestore(Stores.ROS2_JAZZY)
WIDTH, HEIGHT = 640, 480
RATE = 3.0  # clouds a second: a person who walks through a room with a camera
PATH = 100  # views of the whole walk
EDGE = 0.02  # metres between fused points, and Open3D's voxels: 0.4 of a site's 5 cm
LIDAR_EDGE = 0.04
VISIBLE = 100  # pixels from which an object would be clicked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the first 30 views of 100")
    parser.add_argument("--json", type=Path, help="where to write the results, row by row")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--seed", type=int, default=0, help="of the room")
    parser.add_argument("--split", default="val", help="split of the simulated rooms")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="of simulated views")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    args.cache.mkdir(parents=True, exist_ok=True)
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    command = "python benchmarks/import_bag.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine}\nseed: {args.seed}\ncommand: {command}", flush=True)
    work = args.cache / f"import_bag-{os.getpid()}"
    work.mkdir()
    try:
        result = {"machine": machine, "seed": args.seed, "command": command}
        result["rooms"] = generator_hash()
        earlier = {}
        if args.resume and args.json and args.json.exists():
            earlier = json.loads(args.json.read_text())
        for found in measure(args, work, earlier):
            if args.json:
                args.json.write_text(json.dumps(result | found, indent=1) + "\n")
    finally:
        shutil.rmtree(work)


def measure(args: argparse.Namespace, work: Path, earlier: dict) -> Iterator[dict]:
    """Every run, one after the other; all that is known so far after each."""
    path = simulated(args, 30 if args.quick else PATH)
    surface = Surface(path["triangles"])
    found = {"runs": [], "engines": earlier.get("engines") or against_open3d(path, surface)}
    print("engines", json.dumps(found["engines"]), flush=True)
    found["clicks"] = clicking(path)
    print("clicks", json.dumps(found["clicks"]), flush=True)
    done = {row["source"]: row for row in earlier.get("runs", [])}
    for source, fuse, edge, start, write in cases(args, path):
        row = done.get(source)
        if row is None:
            truth = None if start is None else (surface, start)
            row = imported(source, write(work / "bag"), fuse, edge / 0.4, work, truth)
            shutil.rmtree(work / "bag", ignore_errors=True)
        found["runs"].append(row)
        print(json.dumps(row), flush=True)
        yield found


class Case(NamedTuple):
    """One import: start is T_room_world, None without truth; write makes the bag or names it."""

    source: str
    fuse: str
    edge: float
    start: np.ndarray | None
    write: Callable[[Path], Path]


def cases(args: argparse.Namespace, path: dict[str, np.ndarray]) -> Iterator[Case]:
    """What is imported."""

    def camera(bag: Path) -> Path:
        return write_bag(bag, path["views"], path["rgb"], path["poses"])

    def lidar(bag: Path) -> Path:
        return write_bag(bag, path["turns"], None, path["body"])

    room, body = np.eye(4), path["body"][0]
    yield Case("room, camera, known poses", "tf", EDGE, room, camera)
    yield Case("room, camera, odometry", "odometry", EDGE, path["poses"][0], camera)
    yield Case("room, lidar, known poses", "tf", LIDAR_EDGE, room, lidar)
    yield Case("room, lidar, odometry", "odometry", LIDAR_EDGE, body, lidar)
    every_other = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)[::2, ::2].ravel()
    small, rgb = path["views"][:, every_other], path["rgb"][:, every_other]
    for laps in (1, 4):
        there = np.arange(len(small))
        order = np.concatenate([there if lap % 2 == 0 else there[::-1] for lap in range(laps)])
        write = partial(write_bag, views=small, rgb=rgb, poses=path["poses"], order=order)
        yield Case(f"room, camera 320 x 240, {laps} laps", "tf", EDGE, room, write)
    if args.data and (Path(args.data) / "tabletop_bag").exists():
        tabletop = Path(args.data) / "tabletop_bag"
        yield Case("tabletop_bag, odometry", "odometry", EDGE, None, lambda bag: tabletop)


def simulated(args: argparse.Namespace, count: int) -> dict[str, np.ndarray]:
    """A camera's and a lidar's views along one path, the poses they had, the room's triangles.

    Every view has random numbers of its own and is cached, so that a run can be resumed.
    """
    layout, scene, rng = prepare(args.seed, args.split, 0, None)
    poses = camera_path(layout, scene, rng, PATH, turns=1.5)[:count]
    folder = args.cache / f"path-{generator_hash()[:12]}-{args.split}-{args.seed}"
    folder.mkdir(exist_ok=True)
    for number, pose in enumerate(poses):
        cached = folder / f"{number:03d}.npz"
        if cached.exists():
            continue
        own = np.random.default_rng([args.seed, number])
        frame = Shutter(scene, Camera(WIDTH, HEIGHT), own).take(pose)
        body = level(pose)
        unfinished = cached.with_suffix(".part.npz")
        np.savez(
            unfinished,
            views=frame.cloud.xyz,
            rgb=frame.cloud.rgb,
            semantic=frame.semantic.astype(np.int16),
            instance=frame.instance.astype(np.int16),
            poses=pose,
            body=body,
            turns=lidar_turn(scene, body, own),
        )
        unfinished.rename(cached)
    columns: dict[str, list[np.ndarray]] = {}
    for number in range(count):
        with np.load(folder / f"{number:03d}.npz") as saved:
            for name in saved.files:
                columns.setdefault(name, []).append(saved[name])
    triangles = [
        placed.to_room(local) for placed in layout.placed for local, _ in placed.piece.parts
    ]
    path = {name: np.array(values) for name, values in columns.items()}
    return path | {"triangles": np.concatenate(triangles).astype(np.float32)}


def level(pose: np.ndarray) -> np.ndarray:
    """The body under a camera: x forward, z up."""
    forward = pose[:2, 2] / np.linalg.norm(pose[:2, 2])
    body = np.eye(4)
    body[:2, :2] = [[forward[0], -forward[1]], [forward[1], forward[0]]]
    body[:3, 3] = pose[:3, 3]
    return body


def lidar_turn(scene, pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a lidar of 32 rings over ±22 degrees, 1024 steps and 1 cm of noise measures: [N, 3]."""
    azimuth, height = np.meshgrid(
        np.arange(1024) * 2 * np.pi / 1024, np.deg2rad(np.linspace(-22, 22, 32))
    )
    ray = np.stack(
        [np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)], -1
    ).reshape(-1, 3)
    direction = np.ascontiguousarray(ray @ pose[:3, :3].T, np.float32)
    origin = np.ascontiguousarray(np.broadcast_to(pose[:3, 3], ray.shape), np.float32)
    hits = scene.cast(origin, direction)
    distance = np.full(len(ray), np.nan)
    distance[hits.ray] = hits.distance + rng.normal(0, 0.01, len(hits.ray))
    distance[~(distance > 0.3)] = np.nan
    return (ray * distance[:, None]).astype(np.float32)


class Surface:
    """The true triangles float32 [T, 3, 3]."""

    def __init__(self, triangles: np.ndarray) -> None:
        import open3d as o3d

        corners = triangles.reshape(-1, 3)
        rows = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
        self._scene = o3d.t.geometry.RaycastingScene()
        self._scene.add_triangles(np.ascontiguousarray(corners), rows)

    def error_mm(self, xyz: np.ndarray) -> float:
        """Mean distance of points [N, 3] to the nearest triangle, millimetres."""
        distance = self._scene.compute_distance(np.ascontiguousarray(xyz, np.float32)).numpy()
        return round(float(distance.mean()) * 1e3, 2)


def against_open3d(path: dict[str, np.ndarray], surface: Surface) -> list[dict]:
    """Integrating the same views in memory: views a second and surface error of each engine."""
    rows = []
    for name, engine in (("ours", fused_by_us), ("open3d_tsdf", fused_by_open3d)):
        engine(path, 2)  # compiles, loads
        xyz, clock, extract_s = engine(path, len(path["views"]))
        rows.append(
            {
                "engine": name,
                "views_per_second": round(clock.rate(clock.wall), 1),
                "views_per_cpu_second": round(clock.rate(clock.cpu), 1),
                "extract_s": round(extract_s, 2),
                "points": len(xyz),
                "surface_error_mm": surface.error_mm(xyz),
            }
        )
    return rows


class Clock:
    """What each view took: seconds, and seconds of cores, which other programs do not lengthen."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    @contextmanager
    def view(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    @staticmethod
    def rate(times: list[float]) -> float:
        return 1 / float(np.median(times))


def fused_by_us(path: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, Clock, float]:
    fused, clock = VoxelMap(EDGE), Clock()
    for xyz, rgb, pose in zip(path["views"][:count], path["rgb"], path["poses"], strict=False):
        with clock.view():
            fused.add(Cloud(xyz, rgb), pose)
    start = time.perf_counter()
    cloud = fused.cloud()
    return cloud.xyz, clock, time.perf_counter() - start


def fused_by_open3d(path: dict[str, np.ndarray], count: int) -> tuple[np.ndarray, Clock, float]:
    """VoxelBlockGrid, Open3D's present TSDF, on the CPU; truncation of its own default."""
    import open3d as o3d
    import open3d.core as o3c

    grid = o3d.t.geometry.VoxelBlockGrid(
        attr_names=("tsdf", "weight", "color"),
        attr_dtypes=(o3c.float32, o3c.float32, o3c.float32),
        attr_channels=((1), (1), (3)),
        voxel_size=EDGE,
        block_resolution=16,
        block_count=20_000,
    )
    camera = Camera(WIDTH, HEIGHT)
    f = camera.focal * WIDTH
    intrinsic = o3c.Tensor([[f, 0, WIDTH / 2 - 0.5], [0, f, HEIGHT / 2 - 0.5], [0, 0, 1]])
    clock = Clock()
    for xyz, rgb, pose in zip(path["views"][:count], path["rgb"], path["poses"], strict=False):
        with clock.view():
            z = np.nan_to_num(xyz[:, 2]).reshape(HEIGHT, WIDTH, 1)
            depth = o3d.t.geometry.Image(o3c.Tensor(z))
            shown = rgb.reshape(HEIGHT, WIDTH, 3).astype(np.float32) / 255
            color = o3d.t.geometry.Image(o3c.Tensor(shown))
            extrinsic = o3c.Tensor(np.linalg.inv(pose))
            blocks = grid.compute_unique_block_coordinates(
                depth, intrinsic, extrinsic, depth_scale=1.0, depth_max=camera.farthest
            )
            grid.integrate(
                blocks, depth, color, intrinsic, intrinsic, extrinsic, 1.0, camera.farthest
            )
    start = time.perf_counter()
    cloud = grid.extract_point_cloud(weight_threshold=2.0 if count > 2 else 0.0)
    xyz = cloud.point.positions.numpy()
    return xyz, clock, time.perf_counter() - start


def clicking(path: dict[str, np.ndarray]) -> dict:
    """Clicks of one per thing object and stuff class: in every view, and once in the fused scan."""
    single, things, stuff = 0, set(), set()
    for semantic, instance in zip(path["semantic"], path["instance"], strict=True):
        seen = np.bincount(instance[instance > 0]) >= VISIBLE
        classes = np.bincount(semantic[(instance == 0) & (semantic >= 0)]) >= VISIBLE
        single += int(seen.sum()) + int(classes.sum())
        things |= set(np.flatnonzero(seen))
        stuff |= set(np.flatnonzero(classes))
    fused = len(things) + len(stuff)
    return {"single_views": single, "fused": fused, "ratio": round(fused / single, 4)}


def imported(source: str, bag: Path, fuse: str, voxel: float, work: Path, truth) -> dict:
    """One import in a process of its own; truth: the surface and T_room_world."""
    site = Site.create(work / f"site_{time.monotonic_ns()}", "s", parse_classes("a"), voxel)
    answer = subprocess.run(
        [sys.executable, __file__, "--child", str(site.path), str(bag), fuse],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise SystemExit(answer.stderr)
    said = json.loads(answer.stdout.splitlines()[-1])
    scenes = site.scenes()
    points = [scene.cloud().xyz for scene in scenes]
    error = None
    if truth is not None and points:
        surface, start = truth
        error = surface.error_mm(np.concatenate(points) @ start[:3, :3].T + start[:3, 3])
    return {
        "source": source,
        "views": said["views"],
        "scenes": len(scenes),
        "raw_views": sum(len(scene.meta.views) for scene in scenes),
        "fused_points": sum(map(len, points)),
        "voxel_mm": round(voxel * 400),
        "surface_error_mm": error,
        "import_s": round(said["seconds"], 2),
        "realtime_factor": round(said["log_seconds"] / said["seconds"], 2),
        "peak_mb": round(said["peak_mb"]),
        "notes": said["notes"],
    }


def child(site: str, bag: str, fuse: str) -> None:
    """Import one bag and print what it took."""
    from otoc_ros.site.readers.bag import choose_topic, cloud_topics

    warm = VoxelMap(0.05)
    warm.add(Cloud(np.random.default_rng(0).random((100, 3)) + 1, np.zeros((100, 3))), np.eye(4))
    warm.cloud(1)
    topic = choose_topic(Path(bag), cloud_topics(Path(bag)))
    opened = Site.open(Path(site))
    start = time.perf_counter()
    notes = []
    try:
        for done in import_drive(opened, Path(bag), "drive", poses=fuse, topics=[topic.name]):
            notes.append(done.note)
    except InputError as error:  # odometry lost everywhere is a result, too
        notes.append(str(error))
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "views": topic.messages,
                "seconds": seconds,
                "log_seconds": topic.messages / topic.rate if topic.rate else 0.0,
                "peak_mb": peak_megabytes(),
                "notes": [note.replace(str(site), "SITE") for note in notes],
            }
        )
    )


def write_bag(path: Path, views, rgb, poses, order=None) -> Path:
    """Clouds on /points in frame `sensor`, its poses on /tf in `map`, at the stamps of the clouds.

    views: float32 [V, N, 3]; rgb: uint8 [V, N, 3] or None; order: int [M], which view when.
    """
    types = STORE.types
    order = np.arange(len(views)) if order is None else order
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        clouds = writer.add_connection("/points", "sensor_msgs/msg/PointCloud2", typestore=STORE)
        moves = writer.add_connection("/tf", "tf2_msgs/msg/TFMessage", typestore=STORE)
        for number, row in enumerate(order):
            stamp = round((100 + number / RATE) * 1e9)
            time_ = types["builtin_interfaces/msg/Time"](*divmod(stamp, 10**9))
            pose = poses[row]
            turn = Rotation.from_matrix(pose[:3, :3]).as_quat()
            told = types["tf2_msgs/msg/TFMessage"](
                transforms=[
                    types["geometry_msgs/msg/TransformStamped"](
                        header=types["std_msgs/msg/Header"](time_, "map"),
                        child_frame_id="sensor",
                        transform=types["geometry_msgs/msg/Transform"](
                            translation=types["geometry_msgs/msg/Vector3"](
                                *map(float, pose[:3, 3])
                            ),
                            rotation=types["geometry_msgs/msg/Quaternion"](*map(float, turn)),
                        ),
                    )
                ]
            )
            writer.write(moves, stamp, STORE.serialize_cdr(told, told.__msgtype__))
            colours = np.full(views[row].shape, 128, np.uint8) if rgb is None else rgb[row]
            points = encode_colours(views[row], colours)
            cloud = types["sensor_msgs/msg/PointCloud2"](
                header=types["std_msgs/msg/Header"](time_, "sensor"),
                height=1,
                width=len(points),
                fields=[
                    types["sensor_msgs/msg/PointField"](*field[:3], count=1)
                    for field in fields_of(points.dtype)
                ],
                is_bigendian=False,
                point_step=points.dtype.itemsize,
                row_step=points.nbytes,
                data=np.frombuffer(points.tobytes(), np.uint8),
                is_dense=False,
            )
            writer.write(clouds, stamp, STORE.serialize_cdr(cloud, cloud.__msgtype__))
    return path


if __name__ == "__main__":
    main()
