"""Super-voxels against PCL's VCCS, cut-pursuit and Felzenszwalb, on the same clouds in one run.

    python benchmarks/supervoxels.py --quick --json supervoxels.json

All clouds at their own voxel size, all counts met by searching each rival's scale; a rival's search
is not timed. Times are processor time of one thread, everything from points to labelled points
included, so that other load on the machine matters little.
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
from supervoxel_rivals import build, clouds, methods
from supervoxel_rivals.scores import Tally

from otoc_ros.core.preprocess import warm_up

COUNTS = {"rooms": (500, 1000, 2000), "views": (100, 200, 400), "tabletop": (50, 100, 200)}
QUICK_COUNTS = {"rooms": (1000,), "views": (200,), "tabletop": (100,)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer clouds, one count each")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--seed", type=int, default=0, help="of the clicks and the first room")
    parser.add_argument("--split", default="val", help="split of the simulated rooms")
    parser.add_argument("--methods", default="", help="comma-separated; all if left out")
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
    warm_up()
    counts = QUICK_COUNTS if args.quick else COUNTS
    result: dict[str, object] = {"machine": machine, "seed": args.seed, "command": command}
    for group, items in groups(args).items():
        result[group] = []
        for count in counts[group]:
            for name, method in todo.items():
                row = measure(name, method, group, items, count, args)
                result[group].append(row)
                print(f"{group:9s}", json.dumps(row), flush=True)
    if args.json:
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
    found["felzenszwalb_our_features"] = methods.felzenszwalb_same_graph
    return found


def groups(args: argparse.Namespace) -> dict[str, list[clouds.Labelled]]:
    """The clouds of each group; the recordings only where they are."""
    number = 1 if args.quick else 4
    found: dict[str, list[clouds.Labelled]] = {"rooms": [], "views": []}
    numbers = [args.seed + i for i in range(number)]
    for room, views in clouds.rooms(args.cache, args.split, numbers, args.seed):
        found["rooms"].append(room)
        found["views"] += views
    if args.data:
        frames = range(33, 45, 3) if args.quick else range(33, 45)
        found["tabletop"] = list(clouds.tabletop(args.data, list(frames), args.seed))
    return found


def measure(name, method, group, items, count, args) -> dict:
    """One method on all clouds of a group; finished clouds are read back when run again."""
    tally = Tally.of(1 + max(int(item.semantic.max()) for item in items))
    times, points, found = 0.0, 0, []
    for item in items:
        wanted = min(count, max(1, len(item.xyz) // 50))
        cell = args.cache / f"cell-{fingerprint(name, item)}-{wanted}.npz"
        if not cell.exists():
            ids, milliseconds = method(item, wanted)
            np.savez_compressed(cell, ids=ids.astype(np.int32), ms=milliseconds)
        with np.load(cell) as saved:
            ids, milliseconds = saved["ids"].astype(np.int64), float(saved["ms"])
        tally.add(ids, item)
        times += milliseconds
        points += len(item.xyz)
        found.append(int(ids.max()) + 1)
    row = {"method": name, "count": count, "found": round(float(np.mean(found)), 1)}
    return row | tally.row() | {"ms_per_100k": round(times / points * 1e5, 1)}


def fingerprint(name: str, item: clouds.Labelled) -> str:
    """Of a cell: the method's sources, the cloud and the machine."""
    root = Path(__file__).parents[1]
    sources = sorted((root / "otoc_ros" / "core").glob("*.py"))
    if name.startswith("vccs"):
        sources = [root / "benchmarks" / "supervoxel_rivals" / "vccs.cpp"]
    elif name == "cut_pursuit":
        sources = [root / "benchmarks" / "supervoxel_rivals" / "cut_pursuit.py"]
    digest = hashlib.sha256(f"{name} {item.name} {processor()}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    digest.update(item.xyz.tobytes())
    return digest.hexdigest()[:20]


def processor() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
