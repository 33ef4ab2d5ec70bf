"""The sparse U-Net on every engine and on spconv: same weights, same clouds, one run.

    python benchmarks/sparse_engine.py --quick --json sparse_engine.json

Times are medians, milliseconds from voxel coordinates to features: kernel maps, groups and feeds
are included on every side, spconv's index pairs too. spconv 2.3.8 computes correctly on one thread
only: ratios are against that, its time and error with more threads stand beside it. Stages:

- forward: every engine, on `--threads` and on one;
- train: maps, forward and backward;
- maps: kernel maps, and those with groups and feeds; the native engine's share of the measured
  sgemm peak, over valid pairs;
- memory: megabytes that one forward pass adds;
- growth: time and memory over the number of voxels, to a million, with a picture;
- presets: a training step and a cloud of each preset, one pass against separate networks.

Engines take turns. Times of one thread are processor time, which other load hardly changes; of the
others the turns count in which other processes took least of the machine, and the largest such
share is kept as `others`. Finished turns are kept in the cache until the code changes: with
`--seconds` a run stops in time, and the next one goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import onnxruntime
import torch
from computer import processor
from sparse_engine_stages.cells import Plan, forward, maps, memory, train
from sparse_engine_stages.clouds import clouds
from sparse_engine_stages.engines import make_case, spconv_unet
from sparse_engine_stages.growth import growth, plot
from sparse_engine_stages.presets import presets

from otoc_ros.core import native

CELLS = {"forward": forward, "train": train, "maps": maps, "memory": memory}
STAGES = (*CELLS, "growth", "presets")
BASE_CLOUDS = ("room 2 cm, 30 k", "room 2 cm, 100 k")  # the preset `base` is for a GPU


def main() -> None:
    args = arguments()
    command = "python benchmarks/sparse_engine.py " + " ".join(sys.argv[1:])
    print(f"machine: {machine()}\nseed: {args.seed}\ncommand: {command}", flush=True)
    if spconv_unet() is None:
        print("spconv is not installed: pip install spconv-cu120 (Python 3.11 or older)")
    result = {"machine": machine(), "seed": args.seed, "commands": [command], "clouds": []}
    if args.json and args.json.exists():
        before = json.loads(args.json.read_text())
        if (before["machine"], before["seed"]) == (result["machine"], args.seed):
            result = before | {"commands": sorted({*before["commands"], command})}
    plan = Plan(args.threads, args.repeats, time.monotonic() + args.seconds, args.cache, code())
    found = clouds(args.seed, args.data, args.quick, args.cache)
    known = [cell for cell in result["clouds"] if cell["code"] == plan.code[:12]]
    cells = {(cell["name"], cell["preset"]): cell for cell in known}
    for name, preset in itertools.product(found, args.presets.split(",")):
        stages = [stage for stage in CELLS if stage in args.stages.split(",")]
        wanted = any(part in name for part in args.clouds.split(","))
        if not stages or not wanted or (preset == "base" and name not in BASE_CLOUDS):
            continue
        cell = cells.setdefault(
            (name, preset), {"name": name, "preset": preset, "code": plan.code[:12]}
        )
        with tempfile.TemporaryDirectory() as folder:
            case = make_case(name, found[name], preset, args.seed, Path(folder))
            for stage in stages:
                cell |= CELLS[stage](case, plan)
        result["clouds"] = list(cells.values())
        print(json.dumps(cell), flush=True)
        save(result, args.json)
    if "growth" in args.stages.split(","):
        result["growth"] = growth(args.seed, plan, 300_000 if args.quick else 1_000_000)
        print("growth", json.dumps(result["growth"]), flush=True)
        save(result, args.json)
        if args.json:
            plot(result["growth"], args.json.with_name(f"{args.json.stem}_growth.png"))
    if "presets" in args.stages.split(","):
        result["presets"] = presets(args.seed, plan)
        print("presets", json.dumps(result["presets"]), flush=True)
        save(result, args.json)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="preset small, clouds up to 30 k voxels"
    )
    parser.add_argument("--json", type=Path, help="results; what it holds of other stages stays")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the simulated room")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--stages", default=",".join(STAGES), help="comma-separated")
    parser.add_argument("--clouds", default="", help="comma-separated parts of names; all if empty")
    parser.add_argument("--presets", default="", help="comma-separated; small, base if not quick")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no turn after so many")
    parser.add_argument("--data", type=Path, default=os.environ.get("OTOC_DATA"))
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoc_benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="the room, finished turns")
    args = parser.parse_args()
    args.presets = args.presets or ("small" if args.quick else "small,base")
    args.cache.mkdir(parents=True, exist_ok=True)
    return args


def save(result: dict, path: Path | None) -> None:
    if path:
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(result, indent=1) + "\n")
        partial.replace(path)


def code() -> str:
    """Of the engines as they are: turns that others took are not counted."""
    root = Path(__file__).parents[1]
    core = ("native", "onnx_file", "pairs", "sparse_feeds", "voxels")
    trained = ("export", "sparse", "unet")
    sources = [root / "otoc_ros" / "core" / f"{name}.py" for name in core]
    sources += [root / "offline_training" / f"{name}.py" for name in trained]
    sources += (root / "native").iterdir()
    sources.append(root / "benchmarks" / "sparse_engine_stages" / "engines.py")
    digest = hashlib.sha256(machine().encode())
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def machine() -> str:
    kernel = native.library()
    vectors = native.INSTRUCTION_SETS[kernel.otoc_instruction_set()] if kernel else "not built"
    return (
        f"{processor()}, {os.cpu_count()} cores, native kernel {vectors}, Python "
        f"{platform.python_version()}, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__}"
    )


if __name__ == "__main__":
    main()
