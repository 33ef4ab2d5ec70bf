"""The live node end to end over DDS: latency by stage, throughput, drops, processor and memory.

    python benchmarks/live_node.py --quick --json benchmarks/results/live_node.json

A real node in its own process labels clouds that a real player publishes from another one: the
recorded bag, and simulated room views of 640 × 480 points at voxels of 2 cm: those of about 20 000
voxels, and all of one walk, of up to 90 000. Latency runs from the stamp, set right before
publishing, to the arrival of the labels here; its ratio is to spconv's forward of the same U-Net on
the same clouds, on one thread (more give wrong results). Each cell runs with and
without the shared-memory profile. The networks are of preset `small` after a few steps on one room:
the time hardly depends on what they have learnt. Cells that the JSON file holds are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from live_run import LiveNode, one_million_points, soak
from sparse_engine import machine, spconv_unet

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess
from otoc_ros.core.voxels import voxelize
from otoc_ros.site.readers import read_cloud

VOXEL_SIZE = 0.02
USUAL_VOXELS = 20_000  # of a view of a room at 2 cm
STEPS = 20
BOOKKEEPING = ("wait", "convert", "align", "labels", "identity", "publish")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 clouds a cell instead of 100")
    parser.add_argument("--json", type=Path, help="results; cells that it holds are not run again")
    parser.add_argument("--seed", type=int, default=0, help="of the networks and the rooms")
    parser.add_argument("--rate", type=float, default=1.5, help="Hz at which latency is measured")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--provider", default="CPUExecutionProvider")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "otoc_live")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    parser.add_argument("--cells", default="", help="only cells whose names contain this")
    parser.add_argument("--soak", type=float, help="minutes at 10 Hz instead of all cells")
    args = parser.parse_args()
    command = "python benchmarks/live_node.py " + " ".join(
        part for part in sys.argv[1:] if part not in ("--cache", str(args.cache))
    )
    print(f"machine: {machine()}\nseed: {args.seed}\ncommand: {command}")
    result: dict = {"machine": machine(), "seed": args.seed, "command": command, "runs": []}
    if args.json and args.json.exists():
        before = json.loads(args.json.read_text())
        if (before["machine"], before["seed"]) == (result["machine"], args.seed):
            result = {**before, "command": command}
    args.cache.mkdir(parents=True, exist_ok=True)
    bundle = small_bundle(args.cache / f"bundle_{args.seed}", args.seed)
    for name, make in cells(args, bundle).items():
        if args.cells not in name or any(run["name"] == name for run in result["runs"]):
            continue
        cell = {"name": name, **make()}
        result["runs"].append(cell)
        print(json.dumps(cell), flush=True)
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(result, indent=1) + "\n")


def cells(args: argparse.Namespace, bundle: Path) -> dict:
    """What is measured, by name; each is a function that measures it."""
    if args.soak:
        shipped = Path(__file__).parents[1] / "bundle"
        views = room_views(args.cache / f"views_{args.seed}", args.seed)
        return {f"soak of {args.soak:g} min": lambda: soak(shipped, views, args.soak)}
    found = {}
    walk = room_views(args.cache / f"views_{args.seed}", args.seed)
    clouds = {
        "simulated room views": of_usual_size(args.cache / f"usual_{args.seed}", args.seed),
        "large room views": walk,
    }
    if args.data:
        clouds["tabletop_bag"] = args.data / "tabletop_bag"
    for cloud, source in clouds.items():
        for profile in (False, True):
            ending = "with" if profile else "without"
            found[f"{cloud}, {ending} shared memory"] = lambda c=cloud, s=source, p=profile: (
                latency(c, s, bundle, p, args)
            )
    for profile in (False, True):
        ending = "with" if profile else "without"
        count = 50 if args.quick else 300
        found[f"1 M points at 10 Hz, inference off, {ending} shared memory"] = (
            lambda p=profile, n=count: one_million_points(bundle, n, p)
        )
    return found


def latency(name: str, source: Path, bundle: Path, profile: bool, args: argparse.Namespace) -> dict:
    count = 20 if args.quick else 100
    options = {"threads": args.threads, "providers": f'["{args.provider}"]'}
    with LiveNode(bundle, shared_memory=profile, **options) as node:
        paced = node.play(source, count, args.rate)
        flooded = node.play(source, count, 30.0)
    first = first_clouds(source)
    prepared = [preprocess(cloud, Preprocessing(voxel_size=VOXEL_SIZE)) for cloud in first]
    voxels = sorted(len(each.xyz) for each in prepared)
    times = np.array(paced.latencies) * 1e3
    stages = paced.stages()
    total = stages.get("total")  # without shared memory not one cloud may get through
    share = sum(stages.get(stage, 0.0) for stage in BOOKKEEPING) / total if total else None
    p50, p95, p99 = (
        np.percentile(times, [50, 95, 99]).round(1).tolist() if len(times) else [None] * 3
    )
    peer, reason = spconv_forward(prepared, args.seed)
    return {
        "cloud": name,
        "points": len(first[0]),
        "voxels": int(np.median(voxels)),
        "voxels_least_most": [voxels[0], voxels[-1]],
        "shared_memory": profile,
        "rate_hz": args.rate,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "stages": stages,
        "bookkeeping_share": round(share, 3) if share is not None else None,
        "published": paced.published,
        "labelled": len(times),
        "drops": paced.drops(),
        "lost_in_transport": paced.lost(),
        "flooded_30hz": {
            "labelled_hz": flooded.labelled_hz(),
            "drops": flooded.drops(),
            "lost_in_transport": flooded.lost(),
        },
        "cores_used": paced.cores,
        "peak_mb": flooded.peak_mb,
        "activation_s": node.activation,
        "spconv_unet_ms": peer,
        "ratio_to_spconv_unet": round(p95 / peer, 2) if peer and p95 else None,
        "ratio_reason": reason,
    }


def small_bundle(folder: Path, seed: int) -> Path:
    """Networks of preset small at 2 cm after a few steps on one room."""
    if (folder / "bundle.yaml").exists():
        return folder
    import torch
    from rich.progress import Progress

    from offline_training.bundle import export_bundle
    from offline_training.rooms import make_rooms
    from offline_training.self_training import train_site
    from offline_training.settings import preset

    site = make_rooms(
        folder.with_suffix(".site"), 1, seed, splits={"train": 1}, voxel_size=VOXEL_SIZE, keep=1
    )
    settings = preset("small").model_copy(
        update={"rounds": 1, "steps": STEPS, "labels": "full", "seed": seed}
    )
    train_site(site, settings, torch.device("cpu"), Progress(disable=True))
    return export_bundle(site, folder).path


def room_views(folder: Path, seed: int) -> Path:
    """Eight views of a room as files, with missing returns, in the camera's frame."""
    if not folder.exists():
        from offline_training.rooms import camera_clouds, room_seed
        from otoc_ros.site.files import atomic_folder

        with atomic_folder(folder) as aside:
            for number, frame in enumerate(
                camera_clouds(room_seed(seed, "dev", 0), "dev", count=8)
            ):
                np.savez(aside / f"{number}.npz", xyz=frame.cloud.xyz, rgb=frame.cloud.rgb)
    return folder


def of_usual_size(folder: Path, seed: int) -> Path:
    """Of 24 views of three rooms, the eight that are nearest to 20 000 voxels."""
    if not folder.exists():
        from offline_training.rooms import camera_clouds, room_seed
        from otoc_ros.site.files import atomic_folder

        found = []
        for room in range(3):
            for frame in camera_clouds(room_seed(seed, "dev", room), "dev", count=8):
                finite = np.isfinite(frame.cloud.xyz).all(axis=1)
                voxels = len(voxelize(frame.cloud.xyz[finite], VOXEL_SIZE).coords)
                found.append((abs(voxels - USUAL_VOXELS), len(found), frame.cloud))
        with atomic_folder(folder) as aside:
            for number, (_, _, cloud) in enumerate(sorted(found, key=lambda each: each[:2])[:8]):
                np.savez(aside / f"{number}.npz", xyz=cloud.xyz, rgb=cloud.rgb)
    return folder


def first_clouds(source: Path) -> list[Cloud]:
    if (source / "metadata.yaml").exists():
        from otoc_ros.site.readers.bag import read_bag

        return [each[2] for each in islice(read_bag(source, None, 0.0), 8)]
    return [read_cloud(file) for file in sorted(source.iterdir())[:8]]


def spconv_forward(prepared: list[Prepared], seed: int) -> tuple[float | None, str]:
    """Milliseconds of one U-Net forward by spconv on one thread, the median of the clouds."""
    network = spconv_unet()
    if network is None:
        return None, "spconv is not installed: pip install spconv-cu120 (Python 3.11 or older)"
    import statistics
    import time

    import torch

    from offline_training.settings import preset
    from offline_training.unet import UNet

    torch.set_num_threads(1)  # more give wrong results, see docs of sparse_engine.py
    torch.manual_seed(seed)
    size = preset("small")
    medians = []
    for each in prepared:
        coords = torch.from_numpy(np.insert(each.grid.coords, 0, 0, axis=1).astype(np.int32))
        features = torch.from_numpy(each.features)
        peer = network(UNet(features.shape[1], size.width, size.levels))
        peer.unet.eval()
        times = []
        with torch.no_grad():
            for _ in range(4):
                begin = time.perf_counter()
                peer(features, coords)
                times.append((time.perf_counter() - begin) * 1e3)
        medians.append(statistics.median(times[1:]))
    return round(statistics.median(medians), 1), "p95 over the median cloud's forward, of three"


if __name__ == "__main__":
    main()
