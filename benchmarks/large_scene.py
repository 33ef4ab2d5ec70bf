"""A place of 100 M points through the whole job: memory and time of each stage, and seams.

    python benchmarks/large_scene.py --json large_scene.json

A building of simulated rooms (`offline_training.rooms`), a few rooms that stand beside each other
in ever other turns (some across each other) and with noise of their own, its points 0.4 of the
site's voxel apart as fusing leaves them, is written to one PLY file. `otoc import`, `otoc train`
(the preset's networks, few steps), `otoc export` and `otoc predict` then go over it, each in a
process of its own whose whole memory is read at its end. Some rooms are clicked. Seams: a part of
the building that fits is predicted once in at least eight tiles and once as a whole. Without
`train` and `export` among the stages the bundle that ships with the package predicts.
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
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from computer import processor
from peak_memory import peak_megabytes
from room_classes import room_classes

from offline_training.rooms.room import generator_hash, make_room
from otoc_ros.core.cloud import Cloud
from otoc_ros.site.clicks import Click
from otoc_ros.site.readers.npz import read_npz
from otoc_ros.site.readers.ply import AT_ONCE, ply_parts, read_ply
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

VOXEL = 0.05
ROOMS = 4  # different ones
GAP = 0.3  # metres between rooms: a wall
JITTER = 0.003  # metres, σ: no two copies of a room have the same points
CLICKED = 24  # rooms with clicks; the others take part through pseudo labels
SEAM_POINTS = 3_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 M points instead of 100 M")
    parser.add_argument("--points", type=int, help="size of the building instead of 100 M")
    parser.add_argument("--preset", default="small", help="of the networks")
    parser.add_argument("--steps", type=int, default=20, help="of training, in each of 2 rounds")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--seed", type=int, default=0, help="of the building")
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="of simulated rooms")
    parser.add_argument("--work", type=Path, default=Path("large_scene"), help="20 GB at 100 M")
    parser.add_argument("--stages", default=",".join(STAGES), help="those to run, in this order")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.points = args.points or (5_000_000 if args.quick else 100_000_000)
    if args.stage:
        in_child(args)
        return
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    command = "python benchmarks/large_scene.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine}\nseed: {args.seed}\ncommand: {command}", flush=True)
    args.work.mkdir()
    result = {
        "machine": machine,
        "seed": args.seed,
        "command": command,
        "rooms": generator_hash(),
        "points": args.points,
        "voxel_m": VOXEL,
        "preset": args.preset,
        "stages": {},
    }
    try:
        for stage in args.stages.split(","):
            result["stages"][stage] = row = run_stage(stage)
            print(stage, json.dumps(row), flush=True)
            if args.json:
                args.json.write_text(json.dumps(result, indent=1) + "\n")
    finally:
        shutil.rmtree(args.work)


def run_stage(stage: str) -> dict:
    """One stage in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--stage", stage]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{stage} ended with {answer.returncode}")
    row: dict = json.loads(answer.stdout.splitlines()[-1])
    return row


def in_child(args: argparse.Namespace) -> None:
    """Do a stage; tell its seconds, its peak memory and what it found."""
    start = time.perf_counter()
    found = STAGES[args.stage](args) or {}
    seconds = time.perf_counter() - start
    row = {"seconds": round(seconds, 1), "peak_mb": round(peak_megabytes()), **found}
    print("\n" + json.dumps(row))


def build(args: argparse.Namespace) -> dict:
    """Write building.ply and clicks.json."""
    rng = np.random.default_rng(args.seed)
    scans = [room(args.cache, args.seed * ROOMS + row) for row in range(ROOMS)]
    rooms = [scan for scan, _ in scans]
    clicks = [
        clicks_of(scan, truth, args.work / f"room{row}") for row, (scan, truth) in enumerate(scans)
    ]
    size = max(float(np.ptp(scan.xyz[:, :2], axis=0).max()) for scan in rooms) + GAP
    mean = np.mean([len(scan) for scan in rooms])
    side = int(np.ceil(np.sqrt(args.points / mean)))
    said: list[dict] = []

    def copies() -> Iterator[Cloud]:
        left, number = args.points, 0
        while left:
            kind = int(rng.integers(ROOMS))
            turn = quarter_turns(int(rng.integers(4)))
            place = np.array([*np.divmod(number, side), 0]) * size
            cloud = rooms[kind]
            xyz = cloud.xyz @ turn.T + place + rng.normal(0, JITTER, cloud.xyz.shape)
            light = rng.uniform(0.8, 1.15)
            rgb = (cloud.rgb * light).clip(0, 255)
            if number < CLICKED:
                for click in clicks[kind]:
                    position = (turn @ click.position + place).tolist()
                    thing = click.object and click.object + 1000 * number
                    said.append({**click.__dict__, "position": position, "object": thing})
            order = rng.permutation(len(cloud))[:left]
            yield Cloud(xyz[order].astype(np.float32), rgb[order].astype(np.uint8))
            left -= len(order)
            number += 1
        said.append({"rooms": number})

    write_cloud(args.work / "building.ply", args.points, copies())
    told = said.pop()
    (args.work / "clicks.json").write_text(
        json.dumps(
            [{key: row[key] for key in ("position", "object", "class_name")} for row in said]
        )
    )
    return {**told, "clicks": len(said), "side_m": round(side * size, 1)}


def room(cache: Path, seed: int) -> tuple[Cloud, Truth]:
    """The fused scan of a room, kept for the next run."""
    path = cache / f"room-{generator_hash()[:12]}-{seed}.npz"
    if not path.exists():
        made = make_room(seed, "train", voxel=0.4 * VOXEL)
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npz")
        np.savez(
            unfinished,
            xyz=made.cloud.xyz,
            rgb=made.cloud.rgb,
            semantic=made.semantic,
            instance=made.instance,
        )
        unfinished.rename(path)
    scan, truth = read_npz(path)
    assert truth is not None
    return scan, truth


def clicks_of(scan: Cloud, truth: Truth, folder: Path) -> list[Click]:
    """One click for each object and surface of a room."""
    site = Site.create(folder, "room", room_classes(), VOXEL)
    scene = site.add_scene("room", scan, truth=truth)
    return simulate_clicks(scene, site.config, scene_rng(0, folder.name))


def quarter_turns(number: int) -> np.ndarray:
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[number]
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])


def write_cloud(path: Path, points: int, clouds: Iterator[Cloud]) -> None:
    """A PLY file of so many points, cloud by cloud."""
    with path.open("wb") as file:
        for row, cloud in enumerate(clouds):
            for part in range(0, len(cloud), AT_ONCE):
                header, *body = ply_parts(
                    cloud.take(np.arange(part, min(part + AT_ONCE, len(cloud))))
                )
                if row == part == 0:
                    count = f"element vertex {len(cloud)}".encode()
                    file.write(header.replace(count, f"element vertex {points}".encode()))
                for piece in body:
                    file.write(piece)


def bring_in(args: argparse.Namespace) -> dict:
    """`otoc import`, and the clicks."""
    from otoc_ros.site.importer import import_cloud

    site = Site.create(args.work / "site", "building", room_classes(), VOXEL)
    done = import_cloud(site, args.work / "building.ply", "building")
    said = [
        Click(kind="click", source="simulated", seconds=6.0, time=6.0 * row, **click)
        for row, click in enumerate(json.loads((args.work / "clicks.json").read_text()))
    ]
    site.scene("building").append_clicks(said)
    return {"points": done.points}


def train(args: argparse.Namespace) -> None:
    """`otoc train`, a few steps of it."""
    import torch
    from rich.progress import Progress

    from offline_training.self_training import train_site
    from offline_training.settings import preset

    settings = preset(args.preset).model_copy(
        update={"rounds": 2, "steps": args.steps, "seed": args.seed}
    )
    site = Site.open(args.work / "site")
    train_site(site, settings, torch.device("cpu"), Progress(disable=True))


def export(args: argparse.Namespace) -> None:
    """`otoc export`."""
    from offline_training.bundle import export_bundle

    export_bundle(Site.open(args.work / "site"), args.work / "bundle")


def bundle(args: argparse.Namespace) -> Path:
    """What was exported, else what ships with the package."""
    own = args.work / "bundle"
    return own if own.exists() else Path(__file__).parents[1] / "bundle"


def predict(args: argparse.Namespace) -> dict:
    """`otoc predict`."""
    from otoc_ros.cli.train import predict as command

    command(bundle(args), args.work / "building.ply", args.work / "labelled.ply", "z")
    return {"labelled_mb": round((args.work / "labelled.ply").stat().st_size / 1e6)}


def seams(args: argparse.Namespace) -> dict:
    """A part of the building in tiles and as a whole: share of points with the same label."""
    from otoc_ros.core import tiling
    from otoc_ros.perception import Perception

    cloud = read_ply(args.work / "building.ply").take(np.arange(min(args.points, SEAM_POINTS)))
    perception = Perception(bundle(args))
    up = np.array([0.0, 0.0, 1.0])
    coords = perception.see(cloud, up).prepared.grid.coords
    tiling.MOST_VOXELS = min(tiling.MOST_VOXELS, len(coords) // 8)
    count = sum(1 for _ in tiling.tiles(coords, perception.info.levels))
    tiled = perception(cloud, up)
    tiling.MOST_VOXELS = 10**9
    whole = perception(cloud, up)
    return {
        "points": len(cloud),
        "voxels": len(coords),
        "tiles": count,
        "same_class": round(float((tiled.class_id == whole.class_id).mean()), 6),
        "same_object": round(same_objects(tiled.instance, whole.instance), 6),
        "largest_step_of_confidence": round(
            float(np.abs(tiled.confidence - whole.confidence).max()), 4
        ),
    }


def same_objects(one: np.ndarray, two: np.ndarray) -> float:
    """Share of points [N] in the same object, whatever its number: objects are numbered by score,
    and of two almost equal ones either may come first."""
    pairs, counts = np.unique(one.astype(np.int64) << 32 | two, return_counts=True)
    most = np.zeros(int(one.max()) + 1, np.int64)
    np.maximum.at(most, pairs >> 32, counts)
    return float(most.sum() / len(one))


STAGES: dict[str, Callable[[argparse.Namespace], dict | None]] = {
    "build": build,
    "import": bring_in,
    "train": train,
    "export": export,
    "predict": predict,
    "seams": seams,
}


if __name__ == "__main__":
    main()
