"""One verb a stage: make scenes, click, train, export, evaluate, play to the live node, report."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from offline_training.bundle import export_bundle
from offline_training.demo.gallery import make_gallery, readme_strip
from offline_training.demo.live import LiveCloud, LiveRun, run_live
from offline_training.demo.material import Material
from offline_training.demo.recordings import real_material
from offline_training.demo.report import machine, write_report
from offline_training.demo.rooms import simulated_material
from offline_training.evaluation import InstanceScore, PredictedObjects, SemanticScore
from offline_training.self_training import train_site
from offline_training.settings import TrainingSettings, preset
from offline_training.site_evaluation import evaluate_bundle
from otoc_ros.core.errors import InputError
from otoc_ros.perception import Perception
from otoc_ros.site.bundle import Bundle
from otoc_ros.site.files import atomic_write, writing
from otoc_ros.site.readers.bag import read_bag
from otoc_ros.site.simulate import scene_rng, simulate_clicks
from otoc_ros.site.site import Site

# Hz; the bag is played as fast as this machine can label its clouds, at most at a camera's pace.
SLOWEST, FASTEST = 0.25, 2.0
BUSY = 0.4  # share of the time in which the node then works
SLOWER = 4  # times, for a second try

# What a demo writes; a folder that holds anything else is not one to clear.
OWN = ("site", "bag", "live", "pictures", "report.html", "report.json")

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoSize:
    """How much of everything.

    Attributes:
        train, val: simulated rooms of each split. clouds: of the simulated bag.
        training: how the networks are made and trained.
    """

    train: int
    val: int
    clouds: int
    training: TrainingSettings


STEPS = 600  # a round: less than the preset's, so that the whole job takes minutes
SIZE = DemoSize(12, 3, 20, training=preset("tiny").model_copy(update={"steps": STEPS}))


def run_demo(
    output: Path,
    recordings: Path | None,
    seed: int,
    command: str,
    progress: Progress,
    say: Say,
    size: DemoSize = SIZE,
) -> dict[str, Any]:
    """Do the whole job and write OUTPUT/report.html and OUTPUT/report.json.

    Args:
        output: folder; what an earlier demo left in it is replaced.
        recordings: folder of real recordings; None: simulated rooms.
        command: what the person typed, for the report.
        say: told in one line how each stage ended.

    Returns:
        The numbers of the report.

    Raises:
        InputError: a stage delivered nothing, or the folder is not one of a demo.
    """
    begin, computer = time.monotonic(), machine()
    _clear(output)
    stages = Stages(say)
    with stages("scenes and a bag"):
        material = _material(output, recordings, seed, progress, size)
        train = _delivered(material.site.scenes(split="train"), "no scenes to train on")
        val = _delivered(material.site.scenes(split="val"), "no scenes to score")
    with stages("one click per object"):
        clicks, seconds = click(material.site, seed)
    with stages("train"):
        settings = size.training.model_copy(update={"seed": seed})
        train_site(material.site, settings, torch.device("cpu"), progress)
    with stages("export the bundle"):
        bundle = export_bundle(material.site, material.site.path / "bundle")
    with stages("evaluate"):
        scores = evaluate_bundle(bundle.path, material.site, val, progress)
        _delivered(scores["miou"], "the bundle labelled none of the scenes to score")
    with stages("play the bag to the live node"):
        run = play(material, bundle, output / "live", progress)
    with stages("pictures"):
        gallery = make_gallery(material, bundle.path, run)
    facts = {
        "title": material.title,
        "origin": material.origin,
        "shown": material.shown,
        "machine": computer,
        "seed": seed,
        "command": command,
        "train": len(train),
        "val": len(val),
        "clicks": clicks,
        "minutes": round(seconds / 60, 2),
        "training": settings.model_dump(mode="json"),
        "rounds": _rounds(material.site),
        "scores": scores,
        "live": live_facts(material, run),
        "bundle": _about(bundle),
        "stages": stages.done,
        "seconds": round(time.monotonic() - begin, 1),
    }
    page = write_report(facts, gallery, material.site.config.classes)
    with writing(output):
        (output / "pictures").mkdir()
        readme_strip(gallery).save(output / "pictures" / "demo.png", optimize=True)
    atomic_write(output / "report.json", json.dumps(facts, indent=1).encode())
    atomic_write(output / "report.html", page.encode())
    return facts


class Stages:
    """Times what is done, in order."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.done: list[dict[str, Any]] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        seconds = time.monotonic() - begin
        self.done.append({"name": name, "seconds": round(seconds, 1)})
        self._say(f"{name}: {seconds:.1f} s")


def click(site: Site, seed: int) -> tuple[int, float]:
    """One simulated click per object of each training scene; returns how many, and the seconds of a
    person's time they stand for."""
    made = []
    for scene in site.scenes(split="train"):
        clicks = simulate_clicks(scene, site.config, scene_rng(seed, scene.name))
        scene.append_clicks(clicks)
        made += clicks
    _delivered(made, "the training scenes hold nothing to click on")
    return len(made), sum(each.seconds for each in made)


def play(material: Material, bundle: Bundle, folder: Path, progress: Progress) -> LiveRun:
    """The bag through the live node; once more, slower, where the machine was too busy to label
    every cloud.

    Raises:
        InputError: no labelled cloud, no markers or no diagnostics came back.
    """
    sent = len(material.truth_at)
    slow = seconds_a_cloud(bundle, material.bag)
    fast = float(np.round(np.clip(BUSY / slow, SLOWEST, FASTEST), 2))
    for rate in (fast, max(round(fast / SLOWER, 2), SLOWEST)):
        task = progress.add_task(f"live clouds at {rate:g} Hz", total=sent)
        run = run_live(
            bundle.path,
            material.bag,
            sent,
            folder / f"at-{rate:g}-Hz",
            rate,
            lambda arrived, task=task: progress.update(task, completed=arrived),  # type: ignore[misc]
        )
        if len(run.clouds) == sent or not run.clouds or rate == SLOWEST:
            break
        progress.remove_task(task)
    logs = f"see the logs in {folder}"
    _delivered(run.clouds, f"the live node published no labelled cloud; {logs}")
    _delivered(
        any((cloud.class_id >= 0).any() for cloud in run.clouds),
        f"the live node labelled no point; {logs}",
    )
    _delivered(run.markers, f"the live node published no markers; {logs}")
    _delivered(run.stages(), f"the live node published no diagnostics; {logs}")
    return run


def seconds_a_cloud(bundle: Bundle, bag: Path) -> float:
    """How long this machine takes to label a cloud of a bag."""
    perception = Perception(bundle.path)
    cloud = next(iter(read_bag(bag))).cloud
    seconds = []
    for _ in range(3):  # the first one compiles
        begin = time.perf_counter()
        with suppress(InputError):  # a cloud without points: the node will say so
            perception(cloud)
        seconds.append(time.perf_counter() - begin)
    return max(seconds[1:])


def live_facts(material: Material, run: LiveRun) -> dict[str, Any]:
    """What the live node received and published, how fast, and how right on single views."""
    classes = material.site.config.classes
    semantic = SemanticScore(len(classes))
    objects = InstanceScore([row for row, known in enumerate(classes) if known.kind == "thing"])
    scored = 0
    for cloud in run.clouds:
        truth = material.truth_at.get(cloud.stamp_ns)
        if truth is None:
            continue
        semantic.add(truth.semantic, cloud.class_id)
        objects.add(truth.semantic, truth.instance, objects_of(cloud))
        scored += 1
    return {
        "rate": run.rate,
        "sent": len(material.truth_at),
        "received": run.last("received"),
        "dropped": run.last("dropped"),
        "rejected": run.last("rejected"),
        "labelled": len(run.clouds),
        "points": int(sum((cloud.class_id >= 0).sum() for cloud in run.clouds)),
        "markers": run.markers,
        "boxes": sum(len(cloud.boxes) for cloud in run.clouds),
        "scored": scored,
        "miou": _number(semantic.miou()) if scored else None,
        "ap50": _number(objects.summary()["ap50"]) if scored else None,
        "stages": run.stages(),
    }


def objects_of(cloud: LiveCloud) -> PredictedObjects:
    """The objects of a live cloud; the mean confidence of an object's points is its score."""
    ids, rows = np.unique(cloud.instance, return_inverse=True)
    things = np.flatnonzero(ids > 0)
    count = np.bincount(rows)
    score = np.bincount(rows, cloud.confidence) / count
    # A node gives all points of an object its class, but for those of other super-voxels.
    votes = np.zeros((len(ids), int(cloud.class_id.max()) + 2), np.int64)
    np.add.at(votes, (rows, cloud.class_id + 1), 1)
    number = np.zeros(len(ids), np.int32)
    number[things] = np.arange(1, len(things) + 1)
    return PredictedObjects(
        number[rows],
        (votes[things, 1:].argmax(axis=1)).astype(np.int32),
        score[things],
    )


def _material(
    output: Path, recordings: Path | None, seed: int, progress: Progress, size: DemoSize
) -> Material:
    if recordings is not None:
        return real_material(recordings, output, progress)
    return simulated_material(output, size.train, size.val, size.clouds, seed, progress)


def _clear(output: Path) -> None:
    """Make a folder, or empty that of an earlier demo."""
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        strange = sorted(entry.name for entry in output.iterdir() if entry.name not in OWN)
        if strange:
            raise InputError(
                f"{output} holds {strange[0]}, which no demo wrote; choose another --output"
            )
        for entry in output.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _delivered(something: Any, complaint: str) -> Any:
    """Fail in one line where a stage delivered nothing."""
    if not something:
        raise InputError(f"demo failed: {complaint}")
    return something


def _rounds(site: Site) -> list[dict[str, Any]]:
    files = sorted((site.path / "rounds").glob("*/metrics.json"))
    return [json.loads(path.read_bytes()) for path in files]


def _about(bundle: Bundle) -> dict[str, Any]:
    size = sum((bundle.path / name).stat().st_size for name in bundle.info.files)
    return {"megabytes": round(size / 1e6, 2), "files": dict(bundle.info.files)}


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
