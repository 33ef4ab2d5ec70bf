"""The package as setup.py declares it and as colcon builds it."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import setuptools
from built import ROOT, environment

INSTALLED = ("launch", "config", "native", "resource", "otoc_ros", "offline_training")


@pytest.fixture(scope="session")
def declared() -> dict[str, Any]:
    """What setup.py tells setuptools."""
    captured: dict[str, Any] = {}
    original, here = setuptools.setup, Path.cwd()
    os.chdir(ROOT)
    try:
        setuptools.setup = lambda **given: captured.update(given)
        runpy.run_path("setup.py")
    finally:
        setuptools.setup = original
        os.chdir(here)
    return captured


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """A colcon workspace with this tree, and a bundle to ship, built and installed."""
    workspace = tmp_path_factory.mktemp("workspace")
    source = workspace / "src" / "otoc_ros"
    for folder in INSTALLED:
        shutil.copytree(
            ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
    for file in ("package.xml", "setup.py", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / file, source)
    shutil.copytree(tiny_bundle, source / "bundle")
    colcon = Path(sys.executable).parent / "colcon"
    built = subprocess.run(
        [colcon, "build", "--event-handlers", "console_direct+"],
        cwd=workspace,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return workspace
