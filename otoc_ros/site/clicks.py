"""What a person said about a scene: an append-only file of clicks.

One JSON object a line. A line is acknowledged once `append_clicks` returns; then it survives a
crash. A last line that a crash has torn was never acknowledged: reading passes over it and the next
append removes it. Nothing ever edits or deletes a whole line: a click is taken back by another line
of kind `withdraw`.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, model_validator

from otoc_ros.core.errors import InputError
from otoc_ros.site.documents import Document, parse
from otoc_ros.site.files import append, locked_append


class Click(Document):
    """One thing that a person (or a simulated one) said.

    Attributes:
        id: unique; a click that is already in a scene is not added twice.
        kind: click = "this is an object of that class"; exclude = "this is not of that class";
            accept = "this prediction is right"; withdraw = "forget the click `withdraws`".
        position: x, y, z in metres, scene frame; None for a withdraw.
        class_name: `class` in the file; None for a withdraw.
        object: number of the object in the scene, 0 for stuff.
        source: where it was said.
        time: seconds since 1970; for simulated clicks seconds since the first click of the scene.
        seconds: how long the person took.
        withdraws: id of the click that a withdraw takes back.
    """

    id: str = Field(default_factory=lambda: uuid.uuid4().hex, min_length=1, max_length=64)
    kind: Literal["click", "exclude", "accept", "withdraw"] = "click"
    position: tuple[float, float, float] | None = None
    class_name: str | None = Field(
        default=None,
        validation_alias=AliasChoices("class", "class_name"),
        serialization_alias="class",
    )
    object: int = Field(default=0, ge=0, lt=2**31)
    source: Literal["browser", "rviz", "simulated"]
    time: float = Field(default_factory=time.time, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    withdraws: str | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Click:
        if self.kind == "withdraw":
            if self.withdraws is None:
                raise ValueError("a withdraw names the click that it withdraws")
        elif self.position is None or self.class_name is None:
            raise ValueError(f"{self.kind} needs a position and a class")
        elif self.withdraws is not None:
            raise ValueError("only kind withdraw has the field withdraws")
        return self


def read_events(path: Path) -> list[Click]:
    """Every acknowledged line, withdraws included, in the order they were said; none: empty.

    Raises:
        InputError: a line (but a torn last one) that is not a click, with its number.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    whole = data[: _whole_length(data)]
    return [
        _click_of(line, f"{path} line {number}")
        for number, line in enumerate(whole.split(b"\n"), 1)
        if line.strip()
    ]


def active(events: Sequence[Click]) -> list[Click]:
    """The clicks that hold: not withdrawn, and no withdraws. Of equal ids the first one counts."""
    withdrawn = {event.withdraws for event in events if event.kind == "withdraw"}
    holding: dict[str, Click] = {}
    for event in events:
        if event.kind != "withdraw" and event.id not in withdrawn:
            holding.setdefault(event.id, event)
    return list(holding.values())


def append_clicks(path: Path, clicks: Iterable[Click]) -> int:
    """Add clicks whose ids the file does not hold yet, and sync; a failed write adds none.

    Safe with any number of processes at once.

    Returns:
        How many were added.

    Raises:
        InputError: the file is damaged, or the disk is full or not writable.
    """
    with locked_append(path) as descriptor:
        data = _read_all(descriptor)
        keep = _whole_length(data)
        if keep < len(data):
            os.ftruncate(descriptor, keep)
        known = {
            _click_of(line, f"{path} line {number}").id
            for number, line in enumerate(data[:keep].split(b"\n"), 1)
            if line.strip()
        }
        lines = []
        for click in clicks:
            if click.id not in known:
                known.add(click.id)
                lines.append(click.model_dump_json(by_alias=True, exclude_none=True) + "\n")
        if lines:
            # A file edited by hand may lack the end of its last line.
            begin = "\n" if keep and data[keep - 1 : keep] != b"\n" else ""
            append(descriptor, (begin + "".join(lines)).encode())
        return len(lines)


def _whole_length(data: bytes) -> int:
    """Bytes up to where a torn last line begins."""
    end = data.rfind(b"\n") + 1
    try:
        json.loads(data[end:])
        return len(data)
    except ValueError:
        return end


def _click_of(line: bytes, place: str) -> Click:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place} is not JSON; restore the file from a copy") from error
    return parse(Click, values, place)


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)
