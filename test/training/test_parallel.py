"""Two processes that share every step take the steps of one, and end where it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from one_step import one_step
from rich.progress import Progress
from small_site import make_small_site

from offline_training import parallel
from offline_training.rounds import load_labels, round_folder, round_metrics
from offline_training.self_training import train_site
from offline_training.settings import preset
from otoc_ros.core.errors import InputError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STEPS, ROUNDS = 2, 2


def run(*command):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    surroundings = os.environ | {
        "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": path,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], env=surroundings, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def torchrun(processes, *command):
    start = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return run(*start, *command)


def otoc_train(site):
    command = ["-m", "otoc_ros.cli", "train", str(site.path), "--preset", "tiny"]
    return command + ["--steps", str(STEPS), "--rounds", str(ROUNDS)]


def test_the_step_of_two_processes_is_that_of_one(tmp_path):
    site = make_small_site(tmp_path / "site", train=3, val=0)
    result = tmp_path / "result.safetensors"
    code, said = torchrun(2, str(HERE / "one_step.py"), str(site.path), str(result))
    assert code == 0, said
    parts, whole = safetensors.torch.load_file(result), one_step(site)
    assert parts.keys() == whole.keys()
    for name, expected in whole.items():
        scale = expected.double().norm() + 1e-3
        assert (parts[name].double() - expected.double()).norm() <= 1e-6 * scale, name
    for name in ("semantic", "offset", "contrast", "guidance", "propagation"):
        assert whole[name] > 0.01


def test_two_processes_end_where_one_ends(tmp_path):
    one = make_small_site(tmp_path / "one", train=2, val=0)
    two = make_small_site(tmp_path / "two", train=2, val=0)
    code, said = run(*otoc_train(one))
    assert code == 0, said
    code, said = torchrun(2, *otoc_train(two))
    assert code == 0, said
    names = [scene.name for scene in one.scenes()]
    for number in range(ROUNDS):
        losses = [round_metrics(site, number)["losses"] for site in (one, two)]
        # One step agrees to 1e-6 in float64; in float32 Adam soon makes much of rounding.
        assert losses[1] == pytest.approx(losses[0], rel=0.1, abs=0.02)
        labels = [
            load_labels(round_folder(site, number) / "labels.npz", names) for site in (one, two)
        ]
        for mine, other in zip(*labels, strict=True):
            assert (mine.label == other.label).mean() > 0.95
    whole, parts = (
        safetensors.torch.load_file(round_folder(site, 1) / "networks.safetensors")
        for site in (one, two)
    )
    assert whole.keys() == parts.keys()
    rows = [name for name, value in whole.items() if value.dtype == torch.float32]
    one_end, other_end = (
        torch.cat([end[name].flatten() for name in rows]) for end in (whole, parts)
    )
    assert (one_end - other_end).norm() < 0.25 * one_end.norm()


def test_more_processes_than_crops_say_so(tmp_path, monkeypatch):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    monkeypatch.setattr(parallel, "count", lambda: 3)
    with pytest.raises(InputError, match="3 processes for the 2 crops"):
        train_site(site, preset("tiny"), torch.device("cpu"), Progress(disable=True))
