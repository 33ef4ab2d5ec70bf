"""Writes are whole or not there, also on a disk that is full or read-only."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otoc_ros.core.errors import InputError
from otoc_ros.site.files import atomic_folder, atomic_write

ROOT = Path(__file__).parents[2]

# Runs in a mount namespace of its own, on a disk of 256 kB.
ON_A_SMALL_DISK = """
import sys
from pathlib import Path
import numpy as np
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.classes import parse_classes
from otoc_ros.site.clicks import Click
from otoc_ros.site.files import atomic_write
from otoc_ros.site.site import Site

disk, make_read_only = Path(sys.argv[1]), sys.argv[2] == "ro"

def said(what):
    try:
        what()
    except InputError as error:
        print(error)
    else:
        raise SystemExit("no InputError")

def files():
    return {p: p.read_bytes() for p in sorted(disk.rglob("*")) if p.is_file()}

points = np.random.default_rng(0).random((1000, 3))
site = Site.create(disk / "site", "s", parse_classes("chair"), 0.05)
scene = site.add_scene("small", Cloud(points))
click = Click(position=(0.5, 0.5, 0.5), class_name="chair", source="browser")
scene.append_click(click)
if make_read_only:
    import subprocess
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
before = files()
large = Cloud(np.random.default_rng(0).random((100_000, 3)))
said(lambda: site.add_scene("large", large))
said(lambda: atomic_write(disk / "site" / "site.yaml", bytes(1_000_000)))
assert files() == before, "something half-written was left"
if not make_read_only:
    (disk / "filler").write_bytes(b"")
    with (disk / "filler").open("ab", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(512))
        except OSError:
            pass
    before = files()
clicks = [click.model_copy(update={"id": f"{n:032d}"}) for n in range(200)]
said(lambda: scene.append_clicks(clicks))
assert files() == before, "a part of the clicks was left"
assert scene.clicks() == [click]
"""


@pytest.mark.parametrize("state, reason", [("full", "the disk is full"), ("ro", "read-only")])
def test_full_or_read_only_disk(tmp_path: Path, state: str, reason: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "script.py"
    script.write_text(ON_A_SMALL_DISK)
    mount = f'mount -t tmpfs -o size=256k none "{disk}"'
    enter = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*enter, mount], capture_output=True).returncode
    ):
        pytest.skip("needs `unshare --map-root-user --mount` to be allowed")
    command = f'{mount} && exec "{sys.executable}" "{script}" "{disk}" {state}'
    done = subprocess.run(
        [*enter, command], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        assert line.startswith(f"cannot write {disk}/site/") and reason in line


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"one")
    atomic_write(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*file: No such file") as caught:
        atomic_write(tmp_path / "none" / "file", b"")
    assert "\n" not in str(caught.value)


def test_folder_appears_only_when_its_block_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as aside:
        atomic_write(aside / "file", b"1")
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(path) as aside:
        atomic_write(aside / "file", b"1")
        assert not path.exists()
    assert (path / "file").read_bytes() == b"1"


def test_folder_with_something_in_it_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in (b"1", b"2"):
        with atomic_folder(path, replace=True) as aside:
            atomic_write(aside / "file", content)
    assert (path / "file").read_bytes() == b"2"
    with pytest.raises(InputError, match="not empty"), atomic_folder(path) as aside:
        atomic_write(aside / "file", b"3")
    assert (path / "file").read_bytes() == b"2"
    assert list(tmp_path.iterdir()) == [path]
