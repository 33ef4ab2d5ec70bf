"""A class that the bundle never had, after one click and after three, beside nearest colour.

    python benchmarks/new_class.py --quick --json benchmarks/results/new_class.json

Networks are trained on simulated rooms whose truth lacks three classes. Then a camera is carried
through rooms they have never seen; each object of such a class is clicked once where most of it is
seen, near its middle, and looked for in the other views of that walk. Points of the object that get
the new class are found, points of any known class that get it are wrong. Three clicks: on the same
object in three views, in which it is not looked for again. `rest of the class` are other objects of
its class in those rooms. The baseline gives the class to super-voxels of like mean colour; its
threshold is the best of twenty for exactly these clicks, which flatters it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).parents[1]))  # runs from a checkout that is not installed

import numpy as np
from room_classes import room_classes
from sparse_engine import machine

from offline_training.rooms import CLASS_NAMES, Camera, camera_clouds, generator_hash, room_seed
from otoc_ros.core.supervoxels import pool
from otoc_ros.perception import Bank, Corrections, LabelledCloud, Perception, SeenCloud, Shown
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

LEFT_OUT = ("chair", "plant", "bookcase")
KNOWN = tuple(name for name in CLASS_NAMES if name not in LEFT_OUT)
VOXEL_SIZE = 0.08
SEEN = 150  # pixels of 320 x 240 that make an object seen
VIEWS = 10


@dataclass
class View:
    """A cloud as the node sees it, and the truth of its points."""

    shown: Shown
    semantic: np.ndarray
    instance: np.ndarray

    def rows(self, instance: int) -> np.ndarray:
        return np.flatnonzero(self.instance == instance)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rooms instead of 12, less training")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=("dev", "val"), default="val")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "otoc_new_class"
    )
    args = parser.parse_args()
    command = "python benchmarks/new_class.py " + " ".join(
        part for part in sys.argv[1:] if part not in ("--cache", str(args.cache))
    )
    print(f"machine: {machine()}\nseed: {args.seed}\ncommand: {command}")
    steps, rooms = (250, 3) if args.quick else (1200, 12)
    bundle = left_out_bundle(args.cache, args.seed, 12, steps)
    perception = Perception(bundle)
    tallies: dict[str, Tally] = {}
    for number in range(rooms):
        walk = views_of(perception, room_seed(args.seed, args.split, number), args.split)
        for name in LEFT_OUT:
            try_class(perception, walk, name, tallies)
    result = {
        "machine": machine(),
        "seed": args.seed,
        "command": command,
        "split": args.split,
        "rooms": rooms,
        "steps": steps,
        "generator": generator_hash()[:12],
        "clicks": {name: tally.summary() for name, tally in tallies.items()},
    }
    print(json.dumps(result["clicks"], indent=1))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=1) + "\n")


class Tally:
    """Points that were found, missed and wrong, and how long a click took to count."""

    def __init__(self) -> None:
        self.objects = self.found = self.missed = self.wrong = self.rest = self.rest_found = 0
        self.seconds: list[float] = []
        self.each: list[tuple[float, float]] = []

    def add(self, mine: np.ndarray, others: np.ndarray, rest: np.ndarray, said: np.ndarray) -> None:
        """Masks over points: the object, known classes, the rest of its class, the new class."""
        found, wrong = int((said & mine).sum()), int((said & others).sum())
        self.found += found
        self.missed += int(mine.sum()) - found
        self.wrong += wrong
        self.rest += int(rest.sum())
        self.rest_found += int((said & rest).sum())
        self.each.append((found / max(mine.sum(), 1), found / max(found + wrong, 1)))

    def summary(self) -> dict:
        recall, precision = np.mean(self.each, axis=0).round(3).tolist() if self.each else (0, 0)
        return {
            "objects": len(self.each),
            "recall": round(self.found / max(self.found + self.missed, 1), 3),
            "precision": round(self.found / max(self.found + self.wrong, 1), 3),
            "mean_recall": recall,
            "mean_precision": precision,
            "rest_of_class_recall": round(self.rest_found / max(self.rest, 1), 3),
            "click_ms": round(float(np.median(self.seconds)) * 1e3, 1) if self.seconds else None,
        }


def try_class(
    perception: Perception, walk: list[View], name: str, tallies: dict[str, Tally]
) -> None:
    """Click every object of a class in a room, each on its own."""
    truth = CLASS_NAMES.index(name)
    objects = {int(i) for view in walk for i in view.instance[view.semantic == truth]}
    for instance in sorted(objects - {0}):
        seen = [view for view in walk if len(view.rows(instance)) >= SEEN]
        seen.sort(key=lambda view: -len(view.rows(instance)))
        for clicks in (1, 3):
            if len(seen) <= clicks:
                continue
            bank, seconds = taught(perception, seen[:clicks], instance, name)
            new = len(perception.info.classes)
            for how, posed in (("", True), (", without TF", False)):
                labels = [
                    perception.label(
                        view.shown.seen, bank, view.shown.pose if posed else None
                    ).class_id
                    == new
                    for view in walk
                ]
                tally = tallies.setdefault(f"{clicks} clicks{how}", Tally())
                tally.seconds += seconds
                count(walk, seen[:clicks], instance, truth, labels, tally)
            if clicks == 1:
                for step in range(1, 21):
                    like = by_colour(walk, seen[0], instance, step / 100)
                    colour = tallies.setdefault(f"1 clicks, colour within {step / 100}", Tally())
                    count(walk, seen[:1], instance, truth, like, colour)


def count(
    walk: list[View],
    clicked: list[View],
    instance: int,
    truth: int,
    labels: list[np.ndarray],
    tally: Tally,
) -> None:
    others = [(view, said) for view, said in zip(walk, labels, strict=True) if view not in clicked]
    semantic = np.concatenate([view.semantic for view, _ in others])
    ids = np.concatenate([view.instance for view, _ in others])
    said = np.concatenate([said for _, said in others])
    known = np.isin(semantic, [CLASS_NAMES.index(each) for each in KNOWN])
    mine = ids == instance
    tally.add(mine, known, (semantic == truth) & ~mine, said)


def taught(
    perception: Perception, clicked: list[View], instance: int, name: str
) -> tuple[Bank, list[float]]:
    """The bank after a click on the object in each view, and the seconds until each counted."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        corrections = Corrections(perception.untaught, "", where, where / "site", VOXEL_SIZE)
        seconds = []
        for view in clicked:
            cloud = view.shown.cloud
            mine = view.rows(instance)
            middle = np.median(cloud.xyz[mine], axis=0)
            row = mine[((cloud.xyz[mine] - middle) ** 2).sum(axis=1).argmin()]
            begin = time.perf_counter()
            corrections.teach(corrections.understand(view.shown, cloud.xyz[row], name))
            perception.label(view.shown.seen, corrections.bank, view.shown.pose)
            seconds.append(time.perf_counter() - begin)
        return corrections.bank, seconds


def by_colour(walk: list[View], clicked: View, instance: int, within: float) -> list[np.ndarray]:
    mine = clicked.rows(instance)
    middle = np.median(clicked.shown.cloud.xyz[mine], axis=0)
    row = mine[((clicked.shown.cloud.xyz[mine] - middle) ** 2).sum(axis=1).argmin()]
    colour = mean_colour(clicked.shown.seen)[clicked.shown.labelled.supervoxel[row]]
    found = []
    for view in walk:
        like = np.linalg.norm(mean_colour(view.shown.seen) - colour, axis=1) <= within
        found.append(np.append(like, False)[view.shown.labelled.supervoxel])
    return found


def mean_colour(seen: SeenCloud) -> np.ndarray:
    assert seen.prepared.rgb is not None
    return pool(seen.prepared.rgb, seen.prepared.supervoxel, seen.prepared.n_supervoxels)


def views_of(perception: Perception, seed: int, split: str) -> list[View]:
    found = []
    camera = Camera(320, 240)
    for number, frame in enumerate(camera_clouds(seed, split, count=VIEWS, camera=camera)):
        seen = perception.see(frame.cloud, frame.pose[:3, :3].T @ [0.0, 0.0, 1.0])
        labelled: LabelledCloud = perception.label(seen, perception.untaught)
        shown = Shown(number, "camera", number, frame.cloud, seen, labelled, frame.pose)
        found.append(View(shown, frame.semantic, frame.instance))
    return found


def left_out_bundle(cache: Path, seed: int, rooms: int, steps: int) -> Path:
    """Networks that never heard of three classes; made once."""
    import torch
    from rich.progress import Progress

    from offline_training.bundle import export_bundle
    from offline_training.rooms import make_room
    from offline_training.self_training import train_site
    from offline_training.settings import preset

    folder = cache / f"bundle_{seed}_{rooms}_{steps}"
    if (folder / "bundle.yaml").exists():
        return folder
    table = np.array([KNOWN.index(n) if n in KNOWN else -1 for n in (*CLASS_NAMES, "")], np.int32)
    classes = [known for known in room_classes() if known.name in KNOWN]
    path = cache / f"site_{seed}_{rooms}_{steps}"
    site = (
        Site.open(path)
        if (path / "site.yaml").exists()
        else Site.create(path, "rooms without three classes", classes, VOXEL_SIZE)
    )
    for number in range(len(site.scenes()), rooms):
        room = make_room(room_seed(seed, "train", number), "train")
        site.add_scene(
            f"train-{number:03d}",
            room.cloud,
            up=(0, 0, 1),
            truth=Truth(table[room.semantic], room.instance),
            views=[
                (view.cloud.take(np.flatnonzero(np.isfinite(view.cloud.xyz[:, 2]))), view.pose)
                for view in room.views
            ],
        )
    settings = preset("tiny").model_copy(
        update={"levels": 4, "rounds": 1, "steps": steps, "labels": "full", "seed": seed}
    )
    begun = (path / "rounds" / "training.json").exists()
    with Progress(disable=True) as progress:
        train_site(site, settings, torch.device("cpu"), progress, resume=begun)
    return export_bundle(site, folder, storage="int8").path


if __name__ == "__main__":
    main()
