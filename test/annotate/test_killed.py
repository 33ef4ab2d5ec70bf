"""What was acknowledged as written survives when the program that wrote it is killed.

OTOC_KILLS sets the number of trials (40); before a release it is 250.
"""

import json
import os
import signal
import time
from pathlib import Path

from otoc_ros.annotate.labeller import Labeller
from otoc_ros.annotate.record import SiteRecord
from otoc_ros.site.clicks import active, read_events
from otoc_ros.site.site import Site

TRIALS = int(os.environ.get("OTOC_KILLS", "40"))
HERE = (100.0, 50.0, 3.8)


def click_for_ever(site: Path, said: int) -> None:
    """Tells each click after it, as the page does: only once it is on disk."""
    labeller = Labeller(SiteRecord(Site.open(site)), "a", time.monotonic())
    labeller.choose("box", time.monotonic())
    while True:
        click = labeller.click(HERE, time.monotonic())
        os.write(said, f"{click.id}\n".encode())
        if click.object % 3 == 0:
            labeller.undo(time.monotonic())
            os.write(said, f"-{click.id}\n".encode())


def killed_after(site: Path, clicks: int) -> list[str]:
    """What a child has acknowledged that is killed without warning after some clicks."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            click_for_ever(site, said)
        finally:
            os._exit(1)
    os.close(said)
    with os.fdopen(heard) as answers:
        told = [answers.readline() for _ in range(clicks)]
        os.kill(child, signal.SIGKILL)
        told += answers.readlines()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    return [line.strip() for line in told if line.endswith("\n")]


def kill(site: Site, trials: int) -> tuple[int, int]:
    """Kill programs that click in scene `a`: deeds they have acknowledged, and lost ones of these.

    A line that is half written raises, as does a deed that was undone and stands again.
    """
    path = site.scene("a").clicks_path
    lost = acknowledged = 0
    for trial in range(trials):
        told = killed_after(site.path, 1 + trial % 5)
        events = read_events(path)
        ids = {event.id for event in events} | {f"-{event.withdraws}" for event in events}
        lost += len(set(told) - ids)
        acknowledged += len(told)
        holding = {click.id for click in active(events)}
        undone = {line[1:] for line in told if line.startswith("-")}
        assert not undone & holding
    return acknowledged, lost


def test_no_acknowledged_click_is_lost_by_kill_9(site: Site) -> None:
    acknowledged, lost = kill(site, TRIALS)
    assert lost == 0 and acknowledged >= TRIALS
    path = site.scene("a").clicks_path
    numbers = [event.object for event in read_events(path) if event.kind == "click"]
    assert len(numbers) == len(set(numbers))  # the next program goes on counting
    assert all(json.loads(line) for line in path.read_text().splitlines()[:-1])
