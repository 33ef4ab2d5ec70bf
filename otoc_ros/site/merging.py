"""Two sites as one: the robot's clicks and the trainer's, scenes by content, clicks by id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import class_id
from otoc_ros.site.clicks import Click, active
from otoc_ros.site.importer import Imported
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth, write_truth

SAME_PLACE = 0.05  # metres; two classes so close to each other contradict


def merge_site(site: Site, other: Site) -> Iterator[Imported]:
    """Add the scenes of another site that this one lacks, and all clicks that it lacks.

    Scenes are the same by the hash of their scan, clicks by id; doing it again adds nothing. Where
    both sites say something about the same thing, this site's word stays and the note tells both.
    Objects that the other site counted with a number that is taken here get a free one.

    Raises:
        InputError: the other site has classes that this one lacks, or one of them is damaged.
    """
    rows = _rows_of_classes(site, other)
    mine = {scene.meta.id: scene for scene in site.scenes()}
    for theirs in other.scenes():
        scene = mine.get(theirs.meta.id)
        if scene is None:
            scene = _copied(site, theirs, rows)
            added = scene.append_clicks(theirs.events())
            yield Imported(scene.name, scene.meta.points, f"new, {added} new clicks")
            continue
        said, known = theirs.events(), scene.events()
        conflicts = _of_scenes(scene, theirs, rows) + _of_clicks(known, said)
        added = scene.append_clicks(_renumbered(said, known))
        notes = [f"{added} new clicks", *(f"CONFLICT: {line}" for line in conflicts)]
        yield Imported(scene.name, scene.meta.points, "; ".join(notes))


def _rows_of_classes(site: Site, other: Site) -> list[int]:
    """For each class of the other site its row in this one."""
    known = {mine.name for mine in site.config.classes}
    lacking = [theirs for theirs in other.config.classes if theirs.name not in known]
    if lacking:
        missing = ", ".join(f"{theirs.name}:{theirs.kind}" for theirs in lacking)
        raise InputError(
            f"{other.path} has classes that {site.path} lacks: {missing}; add them to "
            f"{site.path / 'site.yaml'}"
        )
    return [class_id(site.config.classes, theirs.name) for theirs in other.config.classes]


def _copied(site: Site, scene: Scene, rows: list[int]) -> Scene:
    taken = {known.name for known in site.scenes()}
    name, number = scene.name, 2
    while name in taken:
        name, number = f"{scene.name}_{number}", number + 1
    return site.add_scene(
        name,
        scene.cloud(),
        split=scene.meta.split,
        up=scene.meta.up,
        source=scene.meta.source,
        truth=_truth(scene, rows),
        views=[
            (scene.view_cloud(row), np.array(view.pose))
            for row, view in enumerate(scene.meta.views)
        ],
    )


def _truth(scene: Scene, rows: list[int]) -> Truth | None:
    """A scene's truth with classes numbered by `rows`."""
    truth = scene.truth()
    if truth is None:
        return None
    table = np.array([*rows, -1], dtype=np.int32)  # the last row serves -1
    return Truth(table[truth.semantic], truth.instance)


def _of_scenes(mine: Scene, theirs: Scene, rows: list[int]) -> list[str]:
    """What two descriptions of one scan disagree on; truth that only they have is taken over."""
    found = []
    if mine.meta.split != theirs.meta.split:
        found.append(f"split {mine.meta.split} here, {theirs.meta.split} there")
    if mine.meta.up != theirs.meta.up:
        found.append(f"up {_told(mine.meta.up)} here, {_told(theirs.meta.up)} there")
    if theirs.meta.views and len(theirs.meta.views) != len(mine.meta.views):
        found.append(f"{len(mine.meta.views)} raw views here, {len(theirs.meta.views)} there")
    truth, known = _truth(theirs, rows), mine.truth()
    if truth is not None and known is None:
        write_truth(mine.path / "truth.npz", truth)
    elif truth is not None and known is not None:
        same = (truth.semantic == known.semantic) & (truth.instance == known.instance)
        if not same.all():
            found.append(f"truth differs at {np.count_nonzero(~same):,} points")
    return found


def _told(up: Sequence[float] | None) -> str:
    return "estimated" if up is None else str([round(part, 2) for part in up])


def _of_clicks(known: Sequence[Click], said: Sequence[Click]) -> list[str]:
    """Equal ids with different content, and clicks of two classes at one place."""
    found = []
    by_id = {click.id: click for click in known}
    fields = {"kind", "position", "class_name", "withdraws"}
    for click in said:
        mine = by_id.get(click.id)
        if mine is not None and mine.model_dump(include=fields) != click.model_dump(include=fields):
            found.append(f"click {click.id} is {_shown(mine)} here, {_shown(click)} there")
    # A withdraw of either side holds for both.
    everything = active([*known, *(click for click in said if click.id not in by_id)])
    here = [click for click in everything if click.id in by_id and click.kind != "exclude"]
    there = [click for click in everything if click.id not in by_id and click.kind != "exclude"]
    for mine in here:
        for theirs in there:
            gap = np.linalg.norm(np.subtract(mine.position or 0, theirs.position or 0))
            if gap < SAME_PLACE and mine.class_name != theirs.class_name:
                found.append(f"{_shown(mine)} here, {_shown(theirs)} there; withdraw one")
    return found


def _shown(click: Click) -> str:
    if click.position is None:
        return f"withdraw of {click.withdraws}"
    place = [round(part, 2) for part in click.position]
    return f"{click.kind} {click.class_name} at {place} ({click.source})"


def _renumbered(said: Sequence[Click], known: Sequence[Click]) -> list[Click]:
    """Their clicks; objects whose numbers mean others here get free ones.

    Clicks that both sides have tell which of their numbers became which of ours in an earlier
    merge.
    """
    by_id = {click.id: click.object for click in known}
    became = {click.object: by_id[click.id] for click in said if click.id in by_id}
    taken = {click.object for click in known} | {click.object for click in said}
    used = set(by_id.values())
    clicks = []
    for click in said:
        number = click.object
        if number and click.id not in by_id:
            if number not in became:
                became[number] = max(taken) + 1 if number in used else number
                taken.add(became[number])
            number = became[number]
        clicks.append(click.model_copy(update={"object": number}))
    return clicks
