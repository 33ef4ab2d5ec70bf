"""The graph against the transformer, and what their confidence and their colours are worth.

    python benchmarks/propagators.py --quick --json benchmarks/results/propagators.json

The same rooms, clicks and steps for both; scored through the exported bundles on dev rooms, whose
furniture training never saw. `ece` is the expected calibration error in points with the
temperature that the held-out clicks gave, `ece_uncalibrated` without; `miou_without_colour` is what
the same bundle reaches on the same clouds stripped of their colours. `propagation_ms` is the time
of the graph, the networks' fusion and the propagation for one room.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import torch
from rich.progress import Progress
from sparse_engine import machine

from offline_training.bundle import export_bundle
from offline_training.rooms import generator_hash, make_rooms
from offline_training.rounds import is_trained, round_metrics
from offline_training.self_training import train_site
from offline_training.settings import TrainingSettings, preset
from offline_training.site_evaluation import evaluate_bundle
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site

KINDS = ("graph", "transformer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rooms, one seed, short training")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="the first of three; one if quick")
    default = Path(tempfile.gettempdir()) / "otoc_propagators"
    parser.add_argument("--cache", type=Path, default=default, help="rooms and trainings")
    args = parser.parse_args()
    command = "python benchmarks/propagators.py " + " ".join(
        part for part in sys.argv[1:] if part not in ("--cache", str(args.cache))
    )
    print(f"machine: {machine()}\nseed: {args.seed}\ncommand: {command}", flush=True)
    numbers = {"train": 8, "dev": 4} if args.quick else {"train": 20, "dev": 10}
    result = {
        "machine": machine(),
        "seed": args.seed,
        "command": command,
        "rooms": numbers,
        "generator": generator_hash()[:12],
        "rows": [],
    }
    for seed in [args.seed] if args.quick else range(args.seed, args.seed + 3):
        common = clicked_rooms(args.cache, numbers, seed, 0.08 if args.quick else 0.05)
        for kind in KINDS:
            row = {"propagation": kind, "seed": seed, **measure(common, settings(args, kind, seed))}
            result["rows"].append(row)
            print(json.dumps(row, indent=1), flush=True)
            if args.json:
                args.json.parent.mkdir(parents=True, exist_ok=True)
                args.json.write_text(json.dumps(result, indent=1) + "\n")


def settings(args: argparse.Namespace, kind: str, seed: int) -> TrainingSettings:
    chosen = preset("tiny")
    if args.quick:
        chosen = chosen.model_copy(update={"steps": 150, "rounds": 3})
    spread = chosen.propagation.model_copy(update={"kind": kind})
    return chosen.model_copy(update={"seed": seed, "propagation": spread})


def clicked_rooms(cache: Path, numbers: dict[str, int], seed: int, size: float) -> Site:
    sizes = "-".join(str(count) for count in numbers.values())
    path = cache / f"rooms-{generator_hash()[:10]}-{sizes}-{size}-{seed}"
    site = make_rooms(path, sum(numbers.values()), seed, splits=numbers, voxel_size=size)
    for scene in site.scenes(split="train"):
        if not scene.clicks():
            scene.append_clicks(simulate_clicks(scene, site.config, scene_rng(seed, scene.name)))
    return site


def measure(common: Site, chosen: TrainingSettings) -> dict:
    """Train on a copy of the rooms, or go on with one that was cut off, and score the bundle."""
    path = common.path.with_name(f"{common.path.name}-{chosen.propagation.kind}-{chosen.steps}")
    if not (path / "site.yaml").exists():
        part = path.with_suffix(".part")
        shutil.copytree(common.path, part, copy_function=os.link, dirs_exist_ok=True)
        part.rename(path)
    site, begin = Site.open(path), time.monotonic()
    if not is_trained(site, chosen):
        begun = (site.path / "rounds" / "training.json").exists()
        with Progress() as progress:
            train_site(site, chosen, torch.device("cpu"), progress, resume=begun)
    seconds = time.monotonic() - begin
    bundle = export_bundle(site, site.path / "bundle").path
    dev, quiet = site.scenes(split="dev"), Progress(disable=True)
    scores = evaluate_bundle(bundle, site, dev, quiet)
    grey = evaluate_bundle(bundle, site, dev, quiet, without_colour=True)
    wanted = ("miou", "ap50", "pq", "ece", "ece_uncalibrated", "temperature")
    times = scores["milliseconds"]
    return {
        **{name: scores[name] for name in wanted},
        "miou_without_colour": grey["miou"],
        "held_out_clicks": round_metrics(site, 0)["held_out_clicks"],
        "propagation_ms": round(times["graph"] + times["propagation"], 1),
        "propagator_kb": round((bundle / "propagator.onnx").stat().st_size / 1e3, 1),
        "training_seconds": round(seconds),
    }


if __name__ == "__main__":
    main()
