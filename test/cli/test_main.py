"""What every command has in common: help at once, one-line errors, exit statuses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bags import write_bag

from otoc_ros.cli import main
from otoc_ros.core.cloud import Cloud

ROOT = Path(__file__).parents[2]
OTOC = [sys.executable, "-c", "from otoc_ros.cli import main; main()"]


def otoc(*arguments: object, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*OTOC, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, **options
    )


def test_help_needs_nothing_heavy() -> None:
    script = (
        "import sys, otoc_ros.cli;"
        "heavy = {'numpy', 'scipy', 'numba', 'torch', 'rclpy', 'onnxruntime', 'rosbags', 'viser'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_help() -> None:
    for arguments in ((), ("--help",)):
        done = otoc(*arguments)
        assert done.returncode == 0 and not done.stderr
        for command in ("site", "import", "simulate-clicks", "rooms", "info"):
            assert command in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nothing",), "No such command 'nothing'. See `otoc --help`."),
        (("site",), "Missing argument 'SITE'. See `otoc site --help`."),
        (("site", "x", "--hat"), "--hat"),
        (("import", "x", "y", "--split", "test"), "'test' is not one of 'train', 'dev', 'val'"),
        (("import", "x", "y", "--every", "-1"), "'--every'"),
        (("info", "/nowhere"), "/nowhere does not exist"),
        (("import", "/nowhere", "y.ply"), "/nowhere is not a site: it has no site.yaml"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("otoc: ") and message in printed.err
    assert printed.err.count("\n") == 1


def test_traceback_only_with_debug() -> None:
    for arguments in (("--debug", "info", "/nowhere"), ("info", "/nowhere", "--debug")):
        assert "Traceback" in otoc(*arguments).stderr
    assert "Traceback" not in otoc("info", "/nowhere").stderr


def test_interrupt_and_start_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clouds = [Cloud(rng.random((20_000, 3)), np.zeros((20_000, 3))) for _ in range(40)]
    bag = write_bag(tmp_path / "bag", {"/points": clouds})
    site = tmp_path / "site"
    assert otoc("site", site, "--classes", "chair").returncode == 0
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [*OTOC, "import", str(site), str(bag)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=-1, stderr=-1, text=True
    ) as process:
        assert process.stdout is not None and "bag_0000" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "otoc: stopped"
    whole = sorted(path.name for path in (site / "scenes").iterdir())
    assert 1 <= len(whole) < 40 and whole[0] == "bag_0000"
    again = otoc("import", site, bag)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("was there already") == len(whole)
    assert len(list((site / "scenes").iterdir())) == 40


def test_reader_that_leaves_early(tmp_path: Path) -> None:
    site = tmp_path / "site"
    otoc("site", site, "--classes", ",".join(f"class{number}" for number in range(900)))
    command = f"{OTOC[0]} -c '{OTOC[2]}' info {site} | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("site site")
    assert done.stderr == ""


def test_missing_package_is_named_with_the_extra_that_has_it(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['trimesh'] = None;"
        f"from otoc_ros.cli import main; main(['rooms', {str(tmp_path / 'rooms')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "otoc: trimesh is not installed; pip install 'otoc_ros[train]'\n"
