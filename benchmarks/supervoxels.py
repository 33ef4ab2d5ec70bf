"""Super-voxels against PCL's VCCS, cut-pursuit and Felzenszwalb, on the same clouds in one run.

    python benchmarks/supervoxels.py --quick --json supervoxels.json

All clouds at their own voxel size, all counts met by searching each rival's scale. Stages:

- score: cuts every cloud, and tells how well the cuts keep to the objects;
- time: cuts the first clouds of each group again, at the scale found, the search left out. Times
  are processor time of one thread, from points to labelled points;
- view: one depth view of 640 x 480 against a forward pass of the U-Net on the same voxels;
- growth: time and memory over the number of points, to three million.

What is finished is kept in the cache and not done again, so that a long run can go in pieces, and
`--stages time` can be given a quiet machine. An existing JSON of the same machine and seed keeps
the rows that are not measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from computer import processor
from supervoxel_rivals import build, clouds, methods
from supervoxel_rivals.growth import growth
from supervoxel_rivals.scores import Tally
from supervoxel_rivals.view import view

from otoc_ros.core.preprocess import SUPERVOXEL_SIZE_AT_1_M, warm_up
from otoc_ros.core.voxels import voxelize

COUNTS = {"rooms": (500, 1000, 2000), "views": (100, 200, 400), "tabletop": (50, 100, 200)}
QUICK_COUNTS = {"rooms": (1000,), "views": (200,), "tabletop": (100,)}
SLOW = ("cut_pursuit", "cut_pursuit_our_features")  # only at the counts of `--quick`
AT_DEFAULT_SIZE = ("ours", "vccs")  # also cut at the size that `preprocess` takes
TIMED = {"rooms": 1, "views": 2, "tabletop": 1}  # clouds of a group, at its count in `--quick`
STAGES = ("score", "time", "view", "growth")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer clouds, one count each")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--seed", type=int, default=0, help="of the clicks and the first room")
    parser.add_argument(
        "--split", default="val", choices=("val", "dev"), help="of rooms and tabletop frames"
    )
    parser.add_argument("--methods", default="", help="comma-separated; all if left out")
    parser.add_argument("--stages", default=",".join(STAGES), help="comma-separated")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="rooms, rivals, finished cells")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    machine = f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    command = "python benchmarks/supervoxels.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine}\nseed: {args.seed}\ncommand: {command}", flush=True)

    todo = available(args.cache)
    if args.methods:
        todo = {name: todo[name] for name in args.methods.split(",") if name in todo}
    stages = args.stages.split(",")
    warm_up()
    result = {"machine": machine, "seed": args.seed, "commands": [command]}
    if args.json and args.json.exists():
        before = json.loads(args.json.read_text())
        if (before["machine"], before["seed"]) == (machine, args.seed):
            result = before | {"commands": sorted({*before["commands"], command})}
    found = groups(args)
    if "score" in stages or "time" in stages:
        for group, items in found.items():
            rows = {(r["clouds"], r["count"], r["method"]): r for r in result.get(group, [])}
            for count, name in cells(group, todo, args.quick):
                row = {"method": name, "count": count, "clouds": len(items)}
                row |= score(name, todo[name], items, count, args.cache)
                if "time" in stages and count in (*QUICK_COUNTS[group], "default"):
                    row |= times(name, todo[name], items[: TIMED[group]], count, args.cache)
                rows[row["clouds"], row["count"], row["method"]] = row
                print(f"{group:9s}", json.dumps(row), flush=True)
            result[group] = list(rows.values())
    if "view" in stages:
        result["view"] = view(args.data, args.seed, args.cache)
        print("view     ", json.dumps(result["view"]), flush=True)
    if "growth" in stages:
        result["growth"] = growth(found["rooms"][0], 1_000_000 if args.quick else 3_000_000)
        print("growth   ", json.dumps(result["growth"]), flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def available(cache: Path) -> dict:
    """Every method that this machine can run, ours first."""
    found = {"ours": methods.ours}
    if program := build.vccs(cache):
        found["vccs"] = methods.vccs(program, 0.2)
        found["vccs_colour_1.0"] = methods.vccs(program, 1.0)
    if python := build.cut_pursuit(cache):
        found["cut_pursuit"] = methods.cut_pursuit(python, "own")
        found["cut_pursuit_our_features"] = methods.cut_pursuit(python, "ours")
    found["felzenszwalb_our_features"] = methods.felzenszwalb_our_features
    return found


def groups(args: argparse.Namespace) -> dict[str, list[clouds.Labelled]]:
    """The clouds of each group; the recordings only where they are."""
    number = 1 if args.quick else 3
    found: dict[str, list[clouds.Labelled]] = {"rooms": [], "views": []}
    numbers = [args.seed + i for i in range(number)]
    for room, views in clouds.rooms(args.cache, args.split, numbers, args.seed):
        found["rooms"].append(room)
        found["views"] += views
    if args.data:
        frames = range(33, 45) if args.split == "val" else range(0, 33, 3)
        found["tabletop"] = list(
            clouds.tabletop(args.data, list(frames)[:: 3 if args.quick else 1], args.seed)
        )
    return found


def cells(group: str, names, quick: bool):
    """Count and method of every row; a count of "default" is the size that `preprocess` takes."""
    for count in (QUICK_COUNTS if quick else COUNTS)[group]:
        for name in names:
            if name not in SLOW or count in QUICK_COUNTS[group]:
                yield count, name
    for name in AT_DEFAULT_SIZE:
        if name in names:
            yield "default", name


def score(name, method, items, count, cache: Path) -> dict:
    """One method on all clouds of a group."""
    tally = Tally.of(1 + max(int(item.semantic.max()) for item in items))
    found = []
    for item in items:
        ids, _ = cut(name, method, item, count, cache)
        tally.add(ids, item)
        found.append(int(ids.max()) + 1)
    return {"found": round(float(np.mean(found)), 1)} | tally.row()


def times(name, method, items, count, cache: Path) -> dict:
    total = points = 0.0
    for item in items:
        file = cache / f"time-{fingerprint(name, item)}-{count}.json"
        if not file.exists():
            _, scale = cut(name, method, item, count, cache)
            spent: list[float] = []
            while len(spent) < 3 and sum(spent) < 5000:
                spent.append(method(item, wanted(item, count), scale)[1])
            file.write_text(json.dumps(spent))
        total += float(np.median(json.loads(file.read_text())))
        points += len(item.xyz)
    return {"ms_per_100k": round(total / points * 1e5, 1)}


def cut(name, method, item, count, cache: Path) -> tuple[np.ndarray, float]:
    """Super-voxel of every point, and the scale that gave them; read back when run again."""
    file = cache / f"cut-{fingerprint(name, item)}-{count}.npz"
    if not file.exists():
        ids, _, scale = method(item, wanted(item, count))
        partial = file.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(partial, ids=ids.astype(np.int32), scale=scale)
        partial.replace(file)
    with np.load(file) as saved:
        return saved["ids"].astype(np.int64), float(saved["scale"])


def wanted(item: clouds.Labelled, count: int | str) -> int:
    """How many super-voxels a cloud is cut into."""
    voxels = len(voxelize(item.xyz, item.voxel_size).coords)
    if count == "default":
        return max(1, round(voxels * item.voxel_size / SUPERVOXEL_SIZE_AT_1_M**2))
    return min(int(count), max(1, voxels // 30))


def fingerprint(name: str, item: clouds.Labelled) -> str:
    """Of a cell: the method's sources, the cloud and the machine."""
    root = Path(__file__).parents[1]
    rivals, core = root / "benchmarks" / "supervoxel_rivals", root / "otoc_ros" / "core"
    ours = [core / f"{part}.py" for part in ("voxels", "normals", "voxel_graph", "supervoxels")]
    sources = {
        "ours": [*ours, core / "fusion.py"],
        "vccs": [rivals / "vccs.cpp"],
        "vccs_colour_1.0": [rivals / "vccs.cpp"],
        "cut_pursuit": [rivals / "cut_pursuit.py"],
        "cut_pursuit_our_features": [rivals / "cut_pursuit.py", *ours],
        "felzenszwalb_our_features": [rivals / "felzenszwalb.py", *ours],
    }
    digest = hashlib.sha256(f"{name} {item.name} {processor()}".encode())
    for source in sources[name]:
        digest.update(source.read_bytes())
    digest.update(item.xyz.tobytes())
    return digest.hexdigest()[:20]


if __name__ == "__main__":
    main()
