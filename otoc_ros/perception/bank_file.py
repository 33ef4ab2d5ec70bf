"""The run-time bank on disk: one file for each bundle, replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from otoc_ros.core.errors import InputError
from otoc_ros.perception.bank import Bank, Lesson
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.documents import Document, describe
from otoc_ros.site.files import atomic_write, writing

FORMAT = 1
LARGEST = 64 * 2**20  # bytes; a thousand clicks take about 5 MB


class SavedLesson(Document):
    """One lesson; `embedding` and `colour` have a row for each super-voxel."""

    click: str = Field(min_length=1, max_length=64)
    scene: str
    class_name: str
    threshold: float = Field(ge=-1, le=1)
    embedding: tuple[tuple[float, ...], ...] = Field(min_length=1)
    colour: tuple[tuple[float, float, float] | None, ...]


class SavedBank(Document):
    """BUNDLE_HASH.json: the classes and lessons that a bundle got while it was running."""

    format: int = FORMAT
    bundle: str
    added: tuple[ClassInfo, ...] = ()
    lessons: tuple[SavedLesson, ...] = ()


def load_bank(path: Path, untaught: Bank, bundle: str) -> Bank:
    """The bank of a bundle as it was saved; `untaught` where nothing was.

    Args:
        bundle: hash of the bundle that `untaught` is of.

    Raises:
        InputError: the file is damaged, of another bundle or from a newer version.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB; it is not ours")
        saved = SavedBank.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return untaught
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from error
    if saved.format > FORMAT or saved.bundle != bundle:
        raise InputError(
            f"{path} is of format {saved.format} and bundle {saved.bundle[:12]}; this is format "
            f"{FORMAT} and bundle {bundle[:12]}"
        )
    bank = Bank(untaught.known, untaught.start, saved.added)
    names = {known.name for known in bank.classes}
    width = untaught.start.shape[1]
    for lesson in saved.lessons:
        if (
            {len(row) for row in lesson.embedding} != {width}
            or len(lesson.colour) != len(lesson.embedding)
            or lesson.class_name not in names
        ):
            raise InputError(f"{path}: the lesson of click {lesson.click} does not fit the bundle")
        taught = Lesson(
            lesson.click,
            lesson.scene,
            lesson.class_name,
            np.array(lesson.embedding, np.float32),
            np.array([colour or (np.nan,) * 3 for colour in lesson.colour], np.float32),
            lesson.threshold,
        )
        bank = bank.taught(taught, next(c for c in bank.classes if c.name == lesson.class_name))
    return bank


def save_bank(path: Path, bank: Bank, bundle: str) -> None:
    """Replace the file; InputError where the disk is full or not writable."""
    saved = SavedBank(
        bundle=bundle,
        added=bank.added,
        lessons=tuple(
            SavedLesson(
                click=lesson.click,
                scene=lesson.scene,
                class_name=lesson.class_name,
                threshold=lesson.threshold,
                embedding=tuple(map(tuple, lesson.embedding.tolist())),
                colour=tuple(
                    None if np.isnan(row).any() else tuple(row.tolist()) for row in lesson.colour
                ),
            )
            for lesson in bank.lessons
        ),
    )
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, saved.model_dump_json().encode())
