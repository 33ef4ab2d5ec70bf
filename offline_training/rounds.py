"""The rounds of a site on disk: SITE/rounds/training.json, and a folder a round."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from offline_training.labels import SceneLabels
from offline_training.settings import TrainingSettings
from otoc_ros.core.confidence import ConfidenceSettings
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import Preprocessing
from otoc_ros.site.files import atomic_write
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site

if TYPE_CHECKING:
    from offline_training.reach import Doubt

_PARTS = ("label", "provenance", "confidence")


def preprocessing(site: Site) -> Preprocessing:
    """How clouds of this site are prepared."""
    return Preprocessing(voxel_size=site.config.voxel_size)


def scratch_folder(site: Site) -> Path:
    """What a training needs on disk only while it runs."""
    return site.path / "rounds" / "scratch"


def round_folder(site: Site, number: int) -> Path:
    return site.path / "rounds" / f"{number:02d}"


def finished_rounds(site: Site) -> int:
    """Rounds that are complete on disk."""
    number = 0
    while (round_folder(site, number) / "metrics.json").exists():
        number += 1
    return number


def is_last(site: Site, settings: TrainingSettings, number: int) -> bool:
    """Whether a round ends the training: none is left, or what it is taught is settled.

    What is on disk before the round begins tells, so that an interrupted training ends alike.
    """
    if number >= settings.rounds - 1:
        return True
    if number == 0 or settings.labels == "full":
        return False
    changed: float = round_metrics(site, number - 1)["changed"]
    return changed < settings.settled


def is_trained(site: Site, settings: TrainingSettings) -> bool:
    """Whether the last round is complete on disk."""
    finished = finished_rounds(site)
    return finished > 0 and is_last(site, settings, finished - 1)


def round_metrics(site: Site, number: int) -> dict[str, Any]:
    """What a finished round noted; InputError where its file is damaged."""
    path = round_folder(site, number) / "metrics.json"
    try:
        metrics: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged; train again without --resume") from error
    # Those of former versions lack some.
    return {"confidence": {}, "held_out_clicks": 0, "changed": 1.0} | metrics


def fitted_confidence(site: Site, number: int) -> ConfidenceSettings:
    """What the beliefs of a finished round are worth; as they are before any."""
    known = round_metrics(site, number)["confidence"] if number >= 0 else {}
    return ConfidenceSettings.model_validate(known)


def begin_rounds(site: Site, settings: TrainingSettings) -> None:
    """Forget an earlier training, now that nothing stands in the way of this one. What a person
    set aside stays."""
    for path in (site.path / "rounds").glob("[0-9][0-9]"):
        shutil.rmtree(path)
    _save_settings(site, settings)


def continue_rounds(site: Site, settings: TrainingSettings) -> None:
    """Go on with an earlier training, if it had the same settings; it may get more rounds.

    Raises:
        InputError: it had others, or there is none.
    """
    path = site.path / "rounds" / "training.json"
    earlier = training_settings(site)
    if earlier.model_copy(update={"rounds": settings.rounds}) != settings:
        different = [
            name for name, value in earlier if name != "rounds" and value != getattr(settings, name)
        ]
        raise InputError(
            f"{path} was begun with other settings ({', '.join(different)}); "
            "give the same ones or train again without --resume"
        )
    _save_settings(site, settings)


def _save_settings(site: Site, settings: TrainingSettings) -> None:
    path = site.path / "rounds" / "training.json"
    atomic_write(path, settings.model_dump_json(indent=1).encode())


def training_settings(site: Site) -> TrainingSettings:
    """The settings of the run in SITE/rounds; InputError where there is none."""
    path = site.path / "rounds" / "training.json"
    try:
        return TrainingSettings.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"site {site.path} was not trained yet; run `otoc train`") from error
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} cannot be used; run `otoc train` again") from error


def save_doubts(site: Site, scenes: Sequence[Scene], doubted: Sequence[Doubt]) -> None:
    """Write the clicks that look wrong to SITE/rounds/doubted_clicks.json, for a person to see.

    Args:
        scenes: that the rows of doubts are of.
    """
    names = [known.name for known in site.config.classes]
    rows = []
    for doubt in doubted:
        scene = scenes[doubt.scene]
        clicks = [click for click in scene.clicks() if click.position][doubt.mark :]
        if not clicks or clicks[0].class_name != names[doubt.said]:
            continue  # taken back since the training began
        click = clicks[0]
        rows.append(
            {
                "scene": scene.name,
                "click": click.id,
                "position": click.position,
                "class": names[doubt.said],
                "looks_like": names[doubt.looks_like],
                "probability": doubt.probability,
            }
        )
    atomic_write(doubts_path(site), json.dumps(rows, indent=1).encode())


def doubts_path(site: Site) -> Path:
    return site.path / "rounds" / "doubted_clicks.json"


def save_labels(
    path: Path,
    scenes: Sequence[str],
    labels: Sequence[SceneLabels],
    numbers: Sequence[NDArray[np.int32]],
    area: NDArray[np.float64],
) -> None:
    """Write the labels that a round leaves for the next, the objects that they make up, int32 [M]
    of each scene from `object_numbers`, and the area of each class."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        area=area,
        **{
            f"{scene}/{part}": values
            for scene, known, own in zip(scenes, labels, numbers, strict=True)
            for part, values in [
                *((part, getattr(known, part)) for part in _PARTS),
                ("object", own),
            ]
        },
    )
    atomic_write(path, buffer.getvalue())


def load_labels(path: Path, scenes: Sequence[str]) -> list[SceneLabels]:
    """Read what `save_labels` wrote.

    Raises:
        InputError: the file is missing, damaged or of other scenes.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [
                SceneLabels(*(arrays[f"{scene}/{part}"] for part in _PARTS)) for scene in scenes
            ]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is missing, damaged or of other scenes; train again without --resume"
        ) from error
