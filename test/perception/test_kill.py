"""kill -9 while clicks and scenes are written: nothing acknowledged is lost, nothing is half there.

OTOC_KILLS sets the number of trials (20); before a release it is 200.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
from small_site import small_scene

from otoc_ros.core.cloud import Cloud
from otoc_ros.perception import Corrections, Perception, Shown
from otoc_ros.perception.pipeline import SeenCloud
from otoc_ros.site.clicks import active, read_events
from otoc_ros.site.site import Site

KILLS = int(os.environ.get("OTOC_KILLS", "20"))
SHIPPED = Path(__file__).parents[2] / "bundle"


def _corrections(perception: Perception, folder: Path) -> Corrections:
    return Corrections(perception.untaught, "hash", folder / "banks", folder / "site", 0.08)


def _shown(shown: Shown, number: int) -> Shown:
    """The same cloud measured at another time, a little elsewhere: another scene for the site."""
    cloud = Cloud(shown.cloud.xyz + np.float32(number * 1e-3), shown.cloud.rgb)
    return Shown(number * 10**9, "camera", 0, cloud, shown.seen, shown.labelled)


def _click_for_ever(
    perception: Perception, folder: Path, shown: Shown, first: int, told: int
) -> None:
    """Correct and save until killed; what is on disk is acknowledged through the pipe `told`."""
    corrections = _corrections(perception, folder)
    for number in range(first, first + 10_000):
        view = _shown(shown, number // 3)  # three clicks a scene
        correction = corrections.understand(view, view.cloud.xyz[0], f"thing{number % 5}")
        corrections.teach(correction)
        scene = corrections.keep(correction, view)
        os.write(told, f"click {scene.name} {correction.click.id}\n".encode())
        if number % 7 == 0:
            saved = corrections.save_scene(_shown(shown, 10**6 + number))
            os.write(told, f"scene {saved.name} -\n".encode())
        if number % 5 == 4:
            lesson = corrections.forget()
            os.write(told, f"undoing {lesson.scene} {lesson.click}\n".encode())
            corrections.withdraw(lesson)
            os.write(told, f"undone {lesson.scene} {lesson.click}\n".encode())


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    perception = Perception(SHIPPED)
    cloud = small_scene(3)[0].take(np.arange(0, 24_500, 12))
    seen: SeenCloud = perception.see(cloud, np.array([0.0, 0.0, 1.0]))
    shown = Shown(0, "camera", 0, cloud, seen, perception.label(seen, perception.untaught))
    chance = random.Random(0)
    clicks: dict[str, str] = {}
    undone: set[str] = set()
    undoing: set[str] = set()  # asked for; done whole or not at all
    scenes: set[str] = set()
    whole: set[str] = set()
    for trial in range(KILLS):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _click_for_ever(perception, tmp_path, shown, 1000 * trial, writer)
            finally:
                os._exit(1)  # never back into pytest
        os.close(writer)
        with os.fdopen(reader) as stream:
            first = stream.readline() if trial % 3 else ""  # else killed wherever it has got to
            time.sleep(chance.uniform(0.0, 0.15))  # anywhere, that is the point
            os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            assert os.WIFSIGNALED(status), "the child ended by itself"
            for line in filter(None, (first, *stream)):
                what, scene, click = line.split()
                if what == "click":
                    clicks[click] = scene
                elif what == "undone":
                    undone.add(click)
                elif what == "undoing":
                    undoing.add(click)
                scenes.add(scene)
        if not (tmp_path / "site" / "site.yaml").exists():
            continue  # killed before the first click made the site
        site = Site.open(tmp_path / "site")
        names = {entry.name for entry in (site.path / "scenes").iterdir()}
        assert scenes <= names
        if trial < KILLS - 1:  # what was whole is not written again; the last trial reads all
            names -= whole
        for name in sorted(names):
            if not name.startswith("."):  # a scene that was never finished
                assert len(site.scene(name).cloud()) == len(cloud)
                whole.add(name)
        held = {
            click.id
            for name in whole
            for click in active(read_events(site.path / "scenes" / name / "clicks.jsonl"))
        }
        assert set(clicks) - undoing <= held and not undone & held
        corrections = _corrections(perception, tmp_path)
        assert not corrections.problem
        taught = {lesson.click for lesson in corrections.bank.lessons}
        assert set(clicks) - undoing <= taught and not undone & taught
        assert undoing & taught == undoing & held
    counts = f"{len(clicks)} clicks acknowledged, {len(undone)} undone, {len(scenes)} scenes"
    print(f"{KILLS} kills, {counts}")
    assert len(clicks) > KILLS / 2, "too few clicks were made for this to mean anything"
