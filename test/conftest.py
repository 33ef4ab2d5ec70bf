"""Fixtures shared by all tests."""

import os
import signal
from pathlib import Path

# Before anything loads OpenMP: its threads wait for each other by spinning, which takes minutes
# where other processes want the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from otoc_ros.site.site import Site

# The same examples in every run; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A shell starts background jobs with Ctrl-C ignored, and what a process ignores its children do
# too; here Ctrl-C is something to be tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of real recordings named by OTOC_DATA; tests that need it skip without it."""
    folder = os.environ.get("OTOC_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real recordings: set OTOC_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def trained_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site of boxes and balls, trained on one click per object; nothing may change it."""
    import torch
    from rich.progress import Progress
    from small_site import make_small_site

    from offline_training.self_training import train_site
    from offline_training.settings import preset

    site = make_small_site(tmp_path_factory.mktemp("trained") / "site")
    settings = preset("tiny").model_copy(
        update={
            "width": 8,
            "levels": 3,
            "rounds": 2,
            "steps": 80,
            "max_voxels": 8000,
            "learning_rate": 5e-3,
        }
    )
    train_site(site, settings, torch.device("cpu"), Progress(disable=True))
    return site


@pytest.fixture(scope="session")
def tiny_bundle(trained_site: Site) -> Path:
    """The bundle of `trained_site`: classes floor (stuff), box and ball, voxels of 5 cm."""
    from offline_training.bundle import export_bundle

    return export_bundle(trained_site, trained_site.path / "bundle").path
