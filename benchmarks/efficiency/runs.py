"""Trainings in a cache: a run that was cut off goes on, one that is there is read back."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from efficiency.sides import Side
from rich.progress import Progress

from offline_training import rooms as generator
from offline_training.rounds import is_trained
from offline_training.self_training import train_site
from offline_training.settings import TrainingSettings, preset
from otoc_ros.site.simulate import SECONDS_PER_CLICK, scene_rng, simulate_clicks
from otoc_ros.site.site import Site

QUICK = {"train": 8, "val": 6}
FULL = {"train": 60, "val": 60}
QUICK_STEPS = 120  # a round, of 3


def run_settings(name: str, *, quick: bool, steps: int | None) -> TrainingSettings:
    """A preset, short where it is to be quick; steps: of a round in place of those, if given."""
    chosen = preset(name)
    if quick:
        chosen = chosen.model_copy(update={"steps": QUICK_STEPS, "rounds": 3})
    return chosen.model_copy(update={"steps": steps or chosen.steps})


def rooms(cache: Path, numbers: dict[str, int], voxel_size: float, seed: int, visit: int) -> Site:
    """Simulated rooms without clicks."""
    sizes = "-".join(str(count) for count in numbers.values())
    name = f"rooms-{generator.generator_hash()[:10]}-{sizes}-{voxel_size}-{seed}-{visit}"
    with Progress() as progress:
        return generator.make_rooms(
            cache / name,
            sum(numbers.values()),
            seed,
            splits=numbers,
            voxel_size=voxel_size,
            visit=visit,
            progress=lambda todo: progress.track(todo, description=f"rooms, visit {visit}"),
        )


def trained(
    cache: Path, common: Site, name: str, side: Side, base: TrainingSettings, seed: int
) -> tuple[Site, int]:
    """A site of the side's own with its finished rounds, and how many clicks it had."""
    settings = side.training(base, seed)
    key = hashlib.sha256((settings.model_dump_json() + repr(side) + sources()).encode())
    path = cache / f"run-{common.path.name}-{name}-{seed}-{key.hexdigest()[:10]}"
    if not (path / "site.yaml").exists():
        _copy(common.path, path)
    site = Site.open(path)
    clicks = _click(site, side, seed)
    if not is_trained(site, settings):
        begun = (path / "rounds" / "training.json").exists()
        with Progress() as progress:
            train_site(site, settings, torch.device("cpu"), progress, resume=begun)
    return site, clicks


def seconds(clicks: int) -> float:
    """Of a person's time."""
    return clicks * SECONDS_PER_CLICK


def _copy(source: Path, target: Path) -> None:
    """A site that shares its scans with another one; they are never written to. Rounds and clicks
    are each side's own."""
    part = target.with_name(f"{target.name}.part")  # a name may have a dot that starts no suffix
    if part.exists():
        shutil.rmtree(part)
    own = shutil.ignore_patterns("rounds", "bundle", "clicks.jsonl")
    shutil.copytree(source, part, copy_function=os.link, ignore=own)
    part.rename(target)


def _click(site: Site, side: Side, seed: int) -> int:
    """The side's clicks on the training scenes, if they are not there yet; how many there are."""
    scenes = site.scenes(split="train")
    order = np.random.default_rng(seed).permutation(len(scenes))
    for row in sorted(order[: max(1, round(side.scenes * len(scenes)))].tolist()):
        if scenes[row].clicks():
            continue  # from a run that was cut off
        drawn = [
            simulate_clicks(
                scenes[row],
                site.config,
                scene_rng(seed + 1000 * again, scenes[row].name),
                border=side.border,
                wrong=side.wrong,
            )
            for again in range(side.clicks)
        ]
        scenes[row].append_clicks([click for clicks in drawn for click in clicks])
    return sum(len(scene.clicks()) for scene in scenes)


def sources() -> str:
    """Hash of what training depends on: another tree trains anew."""
    root = Path(generator.__file__).parents[2]
    training = ["offline_training/*.py", "native/*.*"]
    training += [f"offline_training/{part}/*.*" for part in ("reach", "borders")]
    common = ["otoc_ros/core/*.py", "otoc_ros/site/simulate.py"]
    files = sorted(path for part in training + common for path in root.glob(part))
    each = (hashlib.sha256(path.read_bytes()).digest() for path in files)
    return hashlib.sha256(b"".join(each)).hexdigest()[:12]
