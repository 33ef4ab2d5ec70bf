"""What a click is worth: clicks to outline an object, and clicks to good labels.

    python benchmarks/clicking.py --quick --json benchmarks/results/clicking.json

A simulated person clicks in simulated rooms of the val split and in recorded tabletop frames 33 to
44, which nothing was tuned on. Every method sees the same clouds in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from choices import several_of
from clicking_order import ORDERS, Room, clicks_to, curve
from clicking_page import page
from clicking_person import Case, outline, voxel_edges
from clicking_rival import ROOMS, TABLETOP, RegionGrowing
from clicking_trials import trials
from computer import processor

from otoc_ros.annotate.helper import Helper
from otoc_ros.annotate.scan import Scan
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.growth import Growth, Seeds
from otoc_ros.core.preprocess import Preprocessing, preprocess, warm_up
from otoc_ros.core.propagation import unit_rows
from otoc_ros.core.supervoxels import pool
from otoc_ros.site.site import Site

ROOM_VOXEL, TABLE_VOXEL = 0.05, 0.005
PARTS = ("noc", "order", "page", "trials")
TRIALS = 250  # programs killed, and as many connections broken
RANDOM_RUNS = 3  # random orders; their mean is compared with
NEAR_FINAL = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="2 rooms and 4 frames in place of 6, 12"
    )
    parser.add_argument("--json", type=Path, help="results, completed part by part")
    parser.add_argument("--seed", type=int, default=0, help="of the rooms and the person")
    parser.add_argument("--parts", type=several_of(PARTS), default=PARTS, help="comma-separated")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="for the simulated rooms")
    args = parser.parse_args()
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    command = "python benchmarks/clicking.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine}\nseed: {args.seed}\ncommand: {command}", flush=True)
    from offline_training.rooms import generator_hash

    result = json.loads(args.json.read_bytes()) if args.json and args.json.exists() else {}
    result |= {"machine": machine, "seed": args.seed}
    result["rooms_generator"] = generator_hash()[:12]
    site = _rooms(args)
    warm_up()
    parts = {"noc": outlines, "order": orders, "page": answers, "trials": losses}
    for name in args.parts:
        result |= parts[name](site, args)
        result.setdefault("commands", {})[name] = command
        if args.json:
            args.json.parent.mkdir(exist_ok=True)
            args.json.write_text(json.dumps(result, indent=1) + "\n")


def outlines(site: Site, args: argparse.Namespace) -> dict:
    """Mean clicks on one object until 80 % and 90 % IoU, ours and the baseline's."""
    groups = {"rooms": list(_room_cases(site, args))}
    if args.data:
        groups["tabletop"] = list(_table_cases(args))
    found: dict[str, dict] = {"noc80": {}, "noc90": {}, "noc": {}}
    for group, cases in groups.items():
        rows = {name: [] for name in ("ours", "geometry", "baseline")}
        for case in cases:
            edges = voxel_edges(case.prepared)
            for name, method in _methods(case).items():
                rows[name] += [outline(case, one, method, edges) for one in case.objects()]
        table = {
            name: {
                "noc80": round(float(np.mean([one[0] for one in each])), 2),
                "noc90": round(float(np.mean([one[1] for one in each])), 2),
                "iou_1_click": round(float(np.mean([one[2] for one in each])), 3),
            }
            for name, each in rows.items()
        }
        table["objects"] = len(rows["ours"])
        found["noc"][group] = table
        for level in ("noc80", "noc90"):
            found[level][group] = table["ours"][level]
        print(f"{group:9s}", json.dumps(table), flush=True)
    return found


def _methods(case: Case) -> dict[str, Callable]:
    supervoxel = case.prepared.supervoxel

    def grown(growth: Growth) -> Callable:
        def method(inside: list[int], outside: list[int]) -> np.ndarray:
            ours = tuple(dict.fromkeys(supervoxel[inside].tolist()))
            others = tuple(one for one in dict.fromkeys(supervoxel[outside].tolist()))
            barred = tuple(one for one in others if one not in ours)
            return (growth([Seeds(ours, barred)]) == 0)[supervoxel]

        return method

    rival = TABLETOP if case.name.startswith("tabletop") else ROOMS
    plain = Growth(case.prepared)
    helped = plain
    if case.seen is not None:
        seen = unit_rows(pool(case.seen, supervoxel, case.prepared.n_supervoxels))
        helped = Growth(case.prepared, seen)
    return {
        "ours": grown(helped),
        "geometry": grown(plain),
        "baseline": RegionGrowing(case, *rival),
    }


def orders(site: Site, args: argparse.Namespace) -> dict:
    """Clicks until the labels are nearly as good as with all of them, by the order of objects.

    The networks are frozen (the shipped ones); what is believed follows from the clicks alone.
    """
    helper = Helper(site)
    with ThreadPoolExecutor(1) as background:
        rooms = [
            Room.of(Scan.load(scene, ROOM_VOXEL, background, helper), site.config, args.seed)
            for scene in _scenes(site, args)
        ]
    curves: dict[str, list[list[float]]] = {}
    for order in ORDERS:
        runs = RANDOM_RUNS if order == "random" else 1
        curves[order] = [
            curve(rooms, site.config.classes, order, np.random.default_rng([args.seed, run]))
            for run in range(runs)
        ]
    final = float(np.mean([each[-1] for each in curves["random"]]))
    clicks = {
        order: float(np.mean([clicks_to(each, NEAR_FINAL * final) for each in runs]))
        for order, runs in curves.items()
    }
    row = {
        "helper": helper.name,
        "rooms": len(rooms),
        "clicks_all": len(curves["random"][0]),
        "final_miou": round(final, 4),
        "clicks_to_95": {order: round(each, 1) for order, each in clicks.items()},
        "final_by_order": {order: round(runs[0][-1], 4) for order, runs in curves.items()},
        "miou_at_half": {
            order: round(float(np.mean([each[len(each) // 2] for each in runs])), 4)
            for order, runs in curves.items()
        },
    }
    print("order    ", json.dumps(row), flush=True)
    shown = {
        order: [round(value, 4) for value in np.mean(runs, axis=0)[::5]]
        for order, runs in curves.items()
    }
    ratio = round(clicks["ours"] / clicks["random"], 3)
    return {"clicks_ratio": ratio, "order": row | {"miou_every_5_clicks": shown}}


def answers(site: Site, args: argparse.Namespace) -> dict:
    """What a scripted browser waits for, a person's pace left out."""
    found = page(site, args.seed)
    print("page     ", json.dumps(found["page"]), flush=True)
    return found


def losses(site: Site, args: argparse.Namespace) -> dict:
    """Acknowledged clicks that are lost when programs are killed and connections broken."""
    found = trials(TRIALS // 10 if args.quick else TRIALS)
    print("trials   ", json.dumps(found["trials"]), flush=True)
    return found


def _rooms(args: argparse.Namespace) -> Site:
    from offline_training.rooms import generator_hash, make_rooms

    args.cache.mkdir(parents=True, exist_ok=True)
    path = args.cache / f"clicking-{generator_hash()[:12]}-{args.seed}"
    return make_rooms(path, 2 if args.quick else 6, args.seed, splits={"val": 1}, keep=0)


def _scenes(site: Site, args: argparse.Namespace) -> list:
    return site.scenes(split="val")[: 2 if args.quick else 6]


def _room_cases(site: Site, args: argparse.Namespace) -> Iterator[Case]:
    helper = Helper(site)
    for scene in _scenes(site, args):
        cloud, truth = scene.cloud(), scene.truth()
        up = None if scene.meta.up is None else np.array(scene.meta.up)
        prepared = preprocess(cloud, Preprocessing(voxel_size=ROOM_VOXEL), up)
        points = helper.features(cloud, prepared.rotation[2], ROOM_VOXEL)
        rows = prepared.voxel_of_point
        seen = (
            None if points is None else pool(points[rows >= 0], rows[rows >= 0], len(prepared.xyz))
        )
        yield Case(
            scene.name,
            prepared,
            _majority(truth.instance, rows, len(prepared.xyz)),
            _majority(truth.semantic, rows, len(prepared.xyz)),
            seen,
        )


def _table_cases(args: argparse.Namespace) -> Iterator[Case]:
    for number in range(33, 45, 3 if args.quick else 1):
        with np.load(args.data / "tabletop" / f"learn{number}.npz") as frame:
            cloud = Cloud(frame["xyz"].astype(np.float32), frame["rgb"])
            prepared = preprocess(cloud, Preprocessing(voxel_size=TABLE_VOXEL))
            instance = _majority(
                frame["inst"].astype(np.int32), prepared.voxel_of_point, len(prepared.xyz)
            )
        # The networks that are shipped see voxels of rooms: here geometry and colour must do.
        yield Case(f"tabletop-{number}", prepared, instance, (instance > 0).astype(np.int32), None)


def _majority(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    from offline_training.scenes import majority

    return majority(values, rows, count)


if __name__ == "__main__":
    main()
