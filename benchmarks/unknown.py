"""Does the live pipeline notice what it never learnt? Classes left out against known ones.

    python benchmarks/unknown.py --quick --json benchmarks/results/unknown.json

Networks are trained on one click an object of simulated rooms in which three classes are clicked by
nobody and have no name. In rooms with other furniture, every point is scored by how strange it is;
AUROC is the chance that a point of a class left out is stranger than a point of a known one. Beside
ours: likeness to the nearest prototype alone, the energy of the U-Net's logits
(arXiv 2010.03759), and the confidence after propagation. `noticed` and `disturbed` are the shares
of points of classes left out, and of known ones, that the bundle's own threshold calls unknown.
What ours is made of was chosen on dev rooms with chair, plant and bookcase left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
import torch
from rich.progress import Progress
from sparse_engine import machine

from offline_training.bundle import export_bundle
from offline_training.rooms import generator_hash, make_rooms
from offline_training.rounds import is_trained
from offline_training.self_training import train_site
from offline_training.settings import preset
from otoc_ros.core.supervoxels import pool
from otoc_ros.perception import Perception
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

LEFT_OUT = (("chair", "plant", "bookcase"), ("sofa", "bed", "curtain"))
VOXEL_SIZE = 0.08
UP = np.array([0.0, 0.0, 1.0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rooms, one set of classes")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("dev", "val"), default="val")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "otoc_unknown")
    args = parser.parse_args()
    command = "python benchmarks/unknown.py " + " ".join(
        part for part in sys.argv[1:] if part not in ("--cache", str(args.cache))
    )
    print(f"machine: {machine()}\nseed: {args.seed}\ncommand: {command}", flush=True)
    numbers = {"train": 8, args.split: 4} if args.quick else {"train": 20, args.split: 10}
    name = f"rooms-{generator_hash()[:10]}-{numbers['train']}-{args.split}-{args.seed}"
    rooms = make_rooms(
        args.cache / name, sum(numbers.values()), args.seed, splits=numbers, voxel_size=VOXEL_SIZE
    )
    result = {
        "machine": machine(),
        "seed": args.seed,
        "command": command,
        "split": args.split,
        "rooms": numbers,
        "generator": generator_hash()[:12],
        "left_out": {},
    }
    for names in LEFT_OUT[:1] if args.quick else LEFT_OUT:
        site = without(rooms, names, args.cache / f"{name}-without-{'-'.join(names)}", args.seed)
        row = measure(Perception(trained(site, args)), rooms, names, args.split)
        result["left_out"][", ".join(names)] = row
        print(", ".join(names), json.dumps(row, indent=1), flush=True)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def without(rooms: Site, names: tuple[str, ...], path: Path, seed: int) -> Site:
    """A site of the training rooms whose classes lack some, with one click an object."""
    if (path / "site.yaml").exists():
        return Site.open(path)
    classes = rooms.config.classes
    known = [each for each in classes if each.name not in names]
    table = np.array([known.index(c) if c in known else -1 for c in classes] + [-1], np.int32)
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    site = Site.create(part, f"rooms without {', '.join(names)}", known, VOXEL_SIZE)
    for scene in rooms.scenes(split="train"):
        truth = scene.truth()
        views = [
            (scene.view_cloud(row), np.array(view.pose))
            for row, view in enumerate(scene.meta.views)
        ]
        semantic = Truth(table[truth.semantic], truth.instance)
        made = site.add_scene(scene.name, scene.cloud(), up=(0, 0, 1), truth=semantic, views=views)
        made.append_clicks(simulate_clicks(made, site.config, scene_rng(seed, made.name)))
    part.rename(path)
    return Site.open(path)


def trained(site: Site, args: argparse.Namespace) -> Path:
    """The site's bundle; a training that was cut off goes on."""
    chosen = preset("tiny").model_copy(update={"seed": args.seed})
    if args.quick:
        chosen = chosen.model_copy(update={"steps": 150, "rounds": 3})
    if not is_trained(site, chosen):
        begun = (site.path / "rounds" / "training.json").exists()
        with Progress() as progress:
            train_site(site, chosen, torch.device("cpu"), progress, resume=begun)
    return export_bundle(site, site.path / "bundle").path


def measure(
    perception: Perception, rooms: Site, names: tuple[str, ...], split: str
) -> dict[str, dict]:
    """AUROC of every score over the points of all rooms of a split."""
    scores: dict[str, list[np.ndarray]] = {}
    strange, every_class = [], [known.name for known in rooms.config.classes]
    for scene in rooms.scenes(split=split):
        truth = scene.truth().semantic
        for name, values in point_scores(perception, scene.cloud()).items():
            scores.setdefault(name, []).append(values[truth >= 0])
        strange.append(np.isin(truth[truth >= 0], [every_class.index(name) for name in names]))
    unknown = np.concatenate(strange)
    found = {name: np.concatenate(values) for name, values in scores.items()}
    said = found["ours"] > perception.confidence.strange_above
    return {
        "auroc": {name: round(auroc(values, unknown), 3) for name, values in found.items()},
        "threshold": perception.confidence.strange_above,
        "noticed": round(float(said[unknown].mean()), 3),
        "disturbed": round(float(said[~unknown].mean()), 3),
        "points": len(unknown),
        "unknown_points": int(unknown.sum()),
    }


def point_scores(perception: Perception, cloud) -> dict[str, np.ndarray]:
    """By name: float [N], higher where a score takes a point for less known."""
    seen = perception.see(cloud, UP)
    labelled = perception.label(seen, perception.untaught)
    prepared = seen.prepared
    logits = np.empty((len(prepared.xyz), len(perception.info.classes)))
    for rows, answer in perception._infer(prepared):
        logits[rows] = answer["logits"]
    energy = -np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1))
    energy -= logits.max(axis=1)
    pooled = pool(energy[:, None].astype(np.float32), prepared.supervoxel, prepared.n_supervoxels)
    cosine = seen.embedding @ perception.untaught.prototypes.T
    return {
        "ours": labelled.strangeness,
        "nearest_prototype": -prepared.to_points(cosine.max(axis=1)[prepared.supervoxel], fill=0),
        "energy": prepared.to_points(pooled[:, 0][prepared.supervoxel], fill=0),
        "confidence": -labelled.confidence,
    }


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive scores higher than a negative; ties count half."""
    values, row = np.unique(score, return_inverse=True)
    ups = np.bincount(row, positive, len(values))
    downs = np.bincount(row, ~positive, len(values))
    below = np.cumsum(downs) - downs / 2
    return float((ups * below).sum() / (ups.sum() * downs.sum()))


if __name__ == "__main__":
    main()
