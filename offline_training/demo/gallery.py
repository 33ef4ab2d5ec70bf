"""Which pictures tell the story: the clicks, a scene never seen, the live camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from offline_training.demo.live import LiveCloud, LiveRun
from offline_training.demo.material import Material
from offline_training.demo.pictures import camera_canvas, scene_canvas
from offline_training.scenes import load_scene
from offline_training.self_training import finished_rounds, round_folder
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Prepared, Preprocessing
from otoc_ros.perception import Perception
from otoc_ros.site.readers.bag import read_bag
from otoc_ros.site.scene import Scene
from otoc_ros.site.truth import Truth

I32 = NDArray[np.int32]

STRIP_WIDTH = 1500  # pixels of the picture for the README
STRIP_COLORS = 160

Picture = tuple[Image.Image, str, str]  # and its name and a line about it


@dataclass(frozen=True, eq=False)
class Gallery:
    """The pictures of one demo.

    Attributes:
        learnt: a training scene, from clicks to what was learnt from.
        unseen: a scene of val, predicted beside true.
        live: one cloud of the bag, as the node labelled it.
    """

    learnt: list[Picture]
    unseen: list[Picture]
    live: list[Picture]


def make_gallery(material: Material, bundle: Path, run: LiveRun) -> Gallery:
    """Paint every picture."""
    clicked, unseen = (material.site.scene(name) for name in material.shown)
    perception = Perception(bundle)
    return Gallery(
        learnt=_learnt(material, clicked, perception.preprocessing),
        unseen=_unseen(material, unseen, perception),
        live=_live(material, run),
    )


def readme_strip(gallery: Gallery) -> Image.Image:
    """Six pictures of a gallery in two rows, small enough for a README."""
    chosen = [gallery.learnt[0], gallery.learnt[2], gallery.learnt[3]]
    chosen += [gallery.unseen[2], gallery.unseen[4], gallery.live[2]]
    gap, text, pad = 18, 44, 20
    width = (STRIP_WIDTH - 2 * pad - 2 * gap) // 3
    height = round(width * 520 / 680)
    rows = [pad + row * (height + text + gap) for row in range(2)]
    sheet = Image.new("RGB", (STRIP_WIDTH, rows[1] + height + text + pad // 2), (255, 255, 255))
    on = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(21)
    for number, (picture, name, _) in enumerate(chosen):
        left, top = pad + number % 3 * (width + gap), rows[number // 3]
        small = _fitted(picture, (width, height))
        sheet.paste((244, 246, 249), (left, top, left + width, top + height))
        sheet.paste(small, (left, top), small)
        on.text((left + width / 2, top + height + 8), name, (40, 46, 54), font, anchor="ma")
    return sheet.quantize(STRIP_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _learnt(material: Material, scene: Scene, settings: Preprocessing) -> list[Picture]:
    loaded = load_scene(scene, settings)
    cloud, truth, classes = scene.cloud(), _truth(scene), scene.classes
    canvas = scene_canvas(scene, cloud, truth.semantic, material.showroom)
    prepared = loaded.prepared
    rounds = finished_rounds(material.site)
    path = round_folder(material.site, rounds - 1) / "labels.npz"
    with np.load(path, allow_pickle=False) as arrays:
        taught = _to_points(arrays[f"{scene.name}/label"], prepared)
    clicks = scene.clicks()
    said = np.full(prepared.n_supervoxels, -1, np.int32)
    for mark in loaded.marks:
        said[mark.supervoxel] = mark.class_id
    clicked = _to_points(said, prepared)
    return [
        (
            canvas.with_pins(canvas.photo(), clicks, classes),
            "Input and clicks",
            f"{len(clicks)} clicks, {sum(click.seconds for click in clicks):.0f} s of a person's "
            "time: all that is ever said about this scan.",
        ),
        (
            canvas.supervoxels(prepared),
            "Super-voxels",
            f"{len(cloud):,} points in {prepared.n_supervoxels:,} parts; a click labels the part "
            "it falls into.",
        ),
        (
            canvas.labelled(clicked, classes),
            "What the clicks label",
            f"{_share(clicked)} of the points.",
        ),
        (
            canvas.labelled(taught, classes),
            "After the last round",
            f"{_share(taught)} of the points: clicks and pseudo labels after {rounds} "
            f"round{'s' * (rounds != 1)} of training and propagation.",
        ),
        (canvas.classes(truth.semantic, classes), "True classes", "Ground truth; never shown."),
        (canvas.objects(truth.instance), "True objects", "Ground truth; never shown."),
    ]


def _unseen(material: Material, scene: Scene, perception: Perception) -> list[Picture]:
    cloud, truth, classes = scene.cloud(), _truth(scene), scene.classes
    found = perception(cloud, None if scene.meta.up is None else np.array(scene.meta.up))
    canvas = scene_canvas(scene, cloud, truth.semantic, material.showroom)
    prepared = load_scene(scene, perception.preprocessing).prepared
    known = truth.semantic >= 0
    right = (found.class_id == truth.semantic)[known].mean()
    thing = np.array([each.kind == "thing" for each in classes] + [False])
    objects = np.where(thing[truth.semantic], truth.instance, 0)
    return [
        (canvas.photo(), "Input", f"{len(cloud):,} points; no clicks, never trained on."),
        (canvas.supervoxels(prepared), "Super-voxels", f"{prepared.n_supervoxels:,} of them."),
        (
            canvas.classes(found.class_id, classes),
            "Classes found",
            f"{100 * right:.1f} % of the points right.",
        ),
        (canvas.classes(truth.semantic, classes), "True classes", "Ground truth."),
        (
            canvas.objects(found.instance, objects),
            "Objects found",
            f"{len(found.objects)} of them, in the colour of the true object they cover.",
        ),
        (
            canvas.objects(objects),
            "True objects",
            f"Ground truth: {len(np.unique(objects[objects > 0]))} of them.",
        ),
    ]


def _live(material: Material, run: LiveRun) -> list[Picture]:
    chosen, cloud, truth = _best_seen(material, run)
    canvas = camera_canvas(cloud, chosen.shape)
    classes = material.site.config.classes
    height, width = chosen.shape
    missing = 1 - np.isfinite(cloud.xyz[:, 0]).mean()
    pictures: list[Picture] = [
        (
            canvas.photo(),
            "A cloud of the bag",
            f"{width} x {height}, {100 * missing:.0f} % of it without depth.",
        ),
        (
            canvas.classes(chosen.class_id, classes),
            "Live classes",
            "As received from ~/labels.",
        ),
        (
            canvas.with_boxes(canvas.objects(chosen.instance), chosen.boxes),
            "Live objects",
            f"~/labels and the {len(chosen.boxes)} boxes of ~/markers.",
        ),
    ]
    if truth is not None:
        pictures.append(
            (canvas.classes(truth.semantic, classes), "True classes", "Ground truth of the cloud.")
        )
    return pictures


def _best_seen(material: Material, run: LiveRun) -> tuple[LiveCloud, Cloud, Truth | None]:
    """The labelled cloud with the most true objects (the most boxes without truth)."""
    labelled = {each.stamp_ns: each for each in run.clouds}
    best: tuple[int, LiveCloud, Cloud, Truth | None] | None = None
    for message in read_bag(material.bag):
        if message.stamp_ns not in labelled:
            continue
        live, truth = labelled[message.stamp_ns], material.truth_at[message.stamp_ns]
        rich = len(live.boxes)
        if truth is not None:
            rich = int((np.bincount(truth.instance)[1:] > 300).sum())
        if best is None or rich > best[0]:
            best = rich, live, message.cloud, truth
    assert best is not None, "a run without labels has no report"
    return best[1:]


def _truth(scene: Scene) -> Truth:
    truth = scene.truth()
    assert truth is not None, "scenes of a demo have truth"
    return truth


def _to_points(label: I32, prepared: Prepared) -> I32:
    return np.asarray(prepared.to_points(label[prepared.supervoxel], fill=-1), np.int32)


def _share(label: I32) -> str:
    return f"{100 * (label >= 0).mean():.1f} %"


def _fitted(picture: Image.Image, size: Sequence[int]) -> Image.Image:
    """A picture cut to the shape of a frame and shrunk into it."""
    width, height = size
    scale = max(width / picture.width, height / picture.height)
    near = picture.resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS
    )
    left, top = (near.width - width) // 2, (near.height - height) // 2
    return near.crop((left, top, left + width, top + height))
