"""How well a bundle labels the scenes of a site that have ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from offline_training.evaluation import (
    CalibrationScore,
    InstanceScore,
    PredictedObjects,
    SemanticScore,
)
from offline_training.panoptic import PanopticScore
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.perception import LabelledCloud, Perception
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site


def evaluate_bundle(
    bundle: Path,
    site: Site,
    scenes: list[Scene],
    progress: Progress,
    *,
    without_colour: bool = False,
) -> dict[str, Any]:
    """Run the live pipeline over scenes and score it on their points.

    Args:
        without_colour: show it the scans as a sensor would that sees no colours.

    Returns:
        {"miou", "ap", "ap50", "ap25", "pq", "ece", "ece_uncalibrated", "temperature", "classes":
        {name: {"iou", "ap50", "pq"}}, "scenes", "milliseconds": {stage: median}}; a class that the
        truth lacks has None.

    Raises:
        InputError: no scene with truth, or a bundle of another class table.
    """
    perception = Perception(bundle)
    uncalibrated = perception.uncalibrated()
    classes = site.config.classes
    if [known.name for known in perception.info.classes] != [known.name for known in classes]:
        raise InputError(
            f"bundle {bundle} knows {', '.join(c.name for c in perception.info.classes)}, but site "
            f"{site.path} has {', '.join(c.name for c in classes)}; export the bundle of this site"
        )
    semantic = SemanticScore(len(classes))
    things = [row for row, known in enumerate(classes) if known.kind == "thing"]
    objects = InstanceScore(things)
    panoptic = PanopticScore(perception.thing)
    after, before = CalibrationScore(), CalibrationScore()
    times: list[dict[str, float]] = []
    task = progress.add_task("evaluate", total=len(scenes))
    for scene in scenes:
        truth = scene.truth()
        if truth is not None:
            up = None if scene.meta.up is None else np.array(scene.meta.up)
            cloud = scene.cloud()
            seen = perception.see(Cloud(cloud.xyz) if without_colour else cloud, up)
            found = perception.label(seen, perception.untaught)
            plain = uncalibrated.label(seen, perception.untaught)
            after.add(truth.semantic, found.class_id, found.confidence)
            before.add(truth.semantic, plain.class_id, plain.confidence)
            semantic.add(truth.semantic, found.class_id)
            objects.add(truth.semantic, truth.instance, predicted_objects(found))
            panoptic.add(truth.semantic, truth.instance, found.class_id, found.instance)
            times.append(found.milliseconds)
        progress.advance(task)
    if not times:
        raise InputError(
            f"site {site.path}: none of {len(scenes)} scenes has truth; choose others with --scenes"
        )
    iou, quality = semantic.iou(), panoptic.quality()
    return {
        "miou": _number(semantic.miou()),
        **{name: _number(value) for name, value in objects.summary().items()},
        "pq": _number(panoptic.pq()),
        "ece": _number(after.ece()),
        "ece_uncalibrated": _number(before.ece()),
        "temperature": perception.confidence.temperature,
        "classes": {
            known.name: {
                "iou": _number(iou[row]),
                "pq": _number(quality[row]),
                "ap50": _number(objects.average_precision(row, 0.5)) if row in things else None,
            }
            for row, known in enumerate(classes)
        },
        "scenes": len(times),
        "milliseconds": {
            stage: round(float(np.median([each[stage] for each in times])), 1) for stage in times[0]
        },
    }


def predicted_objects(found: LabelledCloud) -> PredictedObjects:
    """The objects of a labelled cloud as the score wants them."""
    return PredictedObjects(
        found.instance,
        np.array([thing.class_id for thing in found.objects], np.int32),
        np.array([thing.score for thing in found.objects], np.float64),
    )


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
