"""What the page has said to be written survives when the program is killed or the line is cut."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otoc_ros.site.site import Site

ROOT = Path(__file__).parents[2]
TRIALS = int(os.environ.get("OTOC_KILL_TRIALS", "6"))

# Clicks for ever, and says so after each click, as the page does: only once it is on disk.
CLICKER = """
import sys, time
from pathlib import Path
from otoc_ros.annotate.labeller import Labeller
from otoc_ros.annotate.record import SiteRecord
from otoc_ros.site.site import Site
record = SiteRecord(Site.open(Path(sys.argv[1])))
labeller = Labeller(record, "a", time.monotonic())
labeller.choose("box", time.monotonic())
while True:
    click = labeller.click((100.0, 50.0, 3.8), time.monotonic())
    print(click.id, flush=True)
    if click.object % 5 == 0:
        labeller.undo(time.monotonic())
        print("-" + click.id, flush=True)
"""


@pytest.mark.parametrize("trial", range(TRIALS))
def test_no_acknowledged_click_is_lost_by_kill_9(site: Site, trial: int) -> None:
    command = [sys.executable, "-c", CLICKER, str(site.path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(1 + trial % 7)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().split()
    path = site.scene("a").clicks_path
    written = [json.loads(line) for line in path.read_text().splitlines()]
    ids = {line["id"] for line in written} | {"-" + line.get("withdraws", "") for line in written}
    assert said[0] and set(said) <= ids
    held = len(site.scene("a").clicks())
    site.scene("a").append_click(site.scene("a").clicks()[0].model_copy(update={"id": "after"}))
    assert len(site.scene("a").clicks()) == held + 1
