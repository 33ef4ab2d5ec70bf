"""The run-time bank on disk: one file for each bundle, to which every change is appended.

One JSON object a line: first which bundle it is, then what was taught and forgotten, in order. So a
click costs the same however many came before. A line is acknowledged once `append_changes` returns.
A last line that a crash has torn was never acknowledged: loading passes over it and the next append
removes it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from otoc_ros.core.errors import InputError
from otoc_ros.perception.bank import Bank, Lesson
from otoc_ros.site.classes import ClassInfo
from otoc_ros.site.documents import Document, describe
from otoc_ros.site.files import append, locked_append, writing

FORMAT = 2
LARGEST = 256 * 2**20  # bytes; a thousand clicks take about 5 MB
TAIL = 1 << 16  # bytes read at once when the end of a torn line is looked for


class Header(Document):
    """The first line."""

    format: int = FORMAT
    bundle: str


class SavedLesson(Document):
    """One lesson; `embedding` and `colour` have a row for each super-voxel."""

    click: str = Field(min_length=1, max_length=64)
    scene: str = Field(pattern=r"^[^/]*$")
    class_name: str
    threshold: float = Field(ge=-1, le=1)
    embedding: tuple[tuple[float, ...], ...] = Field(min_length=1)
    colour: tuple[tuple[float, float, float] | None, ...]


class Change(Document):
    """One change of the bank: a lesson with its class, or the click of one that was forgotten."""

    taught: SavedLesson | None = None
    info: ClassInfo | None = None
    forgotten: str | None = None


def taught(lesson: Lesson, info: ClassInfo) -> Change:
    """The change that `Bank.taught` makes."""
    saved = SavedLesson(
        click=lesson.click,
        scene=lesson.scene,
        class_name=lesson.class_name,
        threshold=lesson.threshold,
        embedding=tuple(map(tuple, lesson.embedding.tolist())),
        colour=tuple(None if np.isnan(row).any() else tuple(row.tolist()) for row in lesson.colour),
    )
    return Change(taught=saved, info=info)


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
        data = path.read_bytes()
    except FileNotFoundError:
        return untaught
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    first, *lines = data[: data.rfind(b"\n") + 1].splitlines() or [b""]
    if not first:
        return untaught
    number, bank = 1, untaught
    try:
        header = Header.model_validate_json(first)
        if header.format > FORMAT or header.bundle != bundle:
            raise InputError(
                f"{path} is of format {header.format} and bundle {header.bundle[:12]}; this is "
                f"format {FORMAT} and bundle {bundle[:12]}"
            )
        for number, line in enumerate(lines, 2):
            bank = _changed(bank, Change.model_validate_json(line), f"{path} line {number}")
    except ValidationError as error:
        raise InputError(f"{path} line {number}: {describe(error)}") from error
    return bank


def append_changes(path: Path, changes: Sequence[Change], bundle: str) -> None:
    """Add changes and sync; a failed write adds none.

    Raises:
        InputError: the disk is full or not writable.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lines = [change.model_dump_json(exclude_none=True) for change in changes]
    with locked_append(path) as descriptor:
        length = _whole_length(descriptor)
        if length < os.fstat(descriptor).st_size:
            os.ftruncate(descriptor, length)
        if length == 0:
            lines.insert(0, Header(bundle=bundle).model_dump_json())
        append(descriptor, "".join(line + "\n" for line in lines).encode())


def _changed(bank: Bank, change: Change, place: str) -> Bank:
    if change.forgotten is not None:
        return bank.forgotten(change.forgotten)
    saved, info = change.taught, change.info
    if (
        saved is None
        or info is None
        or info.name != saved.class_name
        or {len(row) for row in saved.embedding} != {bank.start.shape[1]}
        or len(saved.colour) != len(saved.embedding)
    ):
        raise InputError(f"{place}: the lesson does not fit the bundle")
    lesson = Lesson(
        saved.click,
        saved.scene,
        saved.class_name,
        np.array(saved.embedding, np.float32),
        np.array([colour or (np.nan,) * 3 for colour in saved.colour], np.float32),
        saved.threshold,
    )
    return bank.taught(lesson, info)


def _whole_length(descriptor: int) -> int:
    """Bytes up to the end of the last whole line, read from the end."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - TAIL)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
