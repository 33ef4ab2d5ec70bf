"""`otoc import` on a disk that fills up: one line, all scenes before stay, it goes on with room."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bags import write_bag
from drives import bodies, write_drive

from otoc_ros.core.cloud import Cloud
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.site import Site

ROOT = Path(__file__).parents[2]
ENTER = ["unshare", "--map-root-user", "--mount", "sh", "-c"]

# In a mount namespace of its own: import until the disk is full, look, and again with more room.
SCRIPT = """
import subprocess, sys
from pathlib import Path
from otoc_ros.site.site import Site

disk, bag, options = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
site = disk / "site"

def otoc():
    command = [sys.executable, "-m", "otoc_ros.cli", "import", str(site), bag, *options]
    return subprocess.run(command, capture_output=True, text=True)

def usable():
    assert not [p for p in disk.rglob(".*") if p.name.endswith(".tmp") or "fusing" in p.name]
    scenes = Site.open(site).scenes()
    for scene in scenes:
        scene.cloud()
        [scene.view_cloud(row) for row in range(len(scene.meta.views))]
    return len(scenes)

full = otoc()
lines = full.stderr.strip().splitlines()
assert full.returncode == 2 and len(lines) == 1, full
assert lines[0].startswith(f"otoc: cannot write {site}") and "the disk is full" in lines[0], lines
before = usable()
subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
again = otoc()
assert again.returncode == 0, again
print(before, usable())
"""


def import_on_a_disk_of(size: str, bag: Path, options: list[str], tmp_path: Path) -> list[int]:
    """Scenes after the import that met the full disk, and after the one with room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    Site.create(tmp_path / "site", "s", parse_classes("wall:stuff"), 0.05)
    (tmp_path / "script.py").write_text(SCRIPT)
    mount = f'mount -t tmpfs -o size={size} none "{disk}"'
    if not shutil.which("unshare") or subprocess.run([*ENTER, mount]).returncode:
        pytest.skip("needs `unshare --map-root-user --mount` to be allowed")
    run = [sys.executable, tmp_path / "script.py", disk, bag, *options]
    command = f'{mount} && cp -r "{tmp_path}/site" "{disk}" && exec ' + " ".join(map(str, run))
    done = subprocess.run(
        [*ENTER, command],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin:/sbin:/usr/sbin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return [int(word) for word in done.stdout.split()]


def test_scenes_of_a_bag_stay_and_the_rest_follows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points, black = rng.random((6, 20_000, 3)), np.zeros((20_000, 3), np.uint8)  # 300 kB each
    clouds = [Cloud(xyz, black) for xyz in points]
    bag = write_bag(tmp_path / "bag", {"/points": clouds})
    before, after = import_on_a_disk_of("1m", bag, [], tmp_path)
    assert 0 < before < 6 and after == 6


def test_a_drive_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", bodies()[:12])
    before, after = import_on_a_disk_of("600k", bag, ["--fuse", "tf"], tmp_path)
    assert before == 0 and after == 1
