"""What is installed: by colcon in a workspace of its own, started as ros2 launch would start it."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import yaml
from built import ROOT, environment


def test_colcon_installs_what_ros_looks_for(workspace: Path) -> None:
    prefix = workspace / "install" / "otoc_ros"
    assert (prefix / "share/ament_index/resource_index/packages/otoc_ros").exists()
    for file in (
        "package.xml",
        "launch/perception.launch.py",
        "config/perception.param.yaml",
        "config/perception.rviz",
        "config/shared_memory.xml",
        "bundle/bundle.yaml",
    ):
        assert (prefix / "share/otoc_ros" / file).exists(), file
    for executable in ("perception_node", "play_clouds", "otoc"):
        path = prefix / "lib/otoc_ros" / executable
        assert path.read_text().startswith("#!/usr/bin/env python3\n")
        assert os.access(path, os.X_OK)


def test_the_installed_node_starts_as_launch_starts_it(workspace: Path, tmp_path: Path) -> None:
    """Without arguments: shipped bundle, shipped parameter file, autostart."""
    prefix = workspace / "install" / "otoc_ros"
    overrides = tmp_path / "launch_params"  # launch_ros writes its own parameters to such a file
    overrides.write_text(
        yaml.safe_dump({"/**": {"ros__parameters": {"autostart": True, "use_sim_time": False}}})
    )
    parameters = prefix / "share/otoc_ros/config/perception.param.yaml"
    command = f"""source {workspace}/install/setup.bash && exec \
        {prefix}/lib/otoc_ros/perception_node --ros-args --log-level info \
        --ros-args -r __node:=perception_node -r __ns:=/robot1 \
        --params-file {parameters} --params-file {overrides} -r points:=/camera/points"""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", command], env=environment(), stdout=output, stderr=output, cwd=tmp_path
        )
    try:
        end = time.monotonic() + 120  # the first start of an installation compiles
        while "serving bundle" not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        assert str(prefix / "share/otoc_ros/bundle") in log.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()


def test_versions_and_requirements_agree(declared: dict[str, Any]) -> None:
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.findtext("version") == declared["version"]
    assert package.findtext("name") == declared["name"] == "otoc_ros"
    assert package.findtext("license") == declared["license"] == "Apache-2.0"
    text = (ROOT / "constraints.txt").read_text()
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[^ /;]+(; python_version .*)?", pin) for pin in pins)
    pinned = {pin.split("==")[0] for pin in pins}
    chosen = ("cpu", "train", "label", "ros-dev", "test")
    wanted = declared["install_requires"] + [
        one for extra in chosen for one in declared["extras_require"][extra]
    ]
    names = {re.match(r"[A-Za-z0-9-]+", one)[0].lower() for one in wanted}  # type: ignore[index]
    assert names <= pinned, names - pinned


def test_every_import_is_declared(declared: dict[str, Any]) -> None:
    """Third-party modules that the packages import, by the name under which pip knows them."""
    known_as = {"yaml": "PyYAML", "PIL": "pillow", "sklearn": "scikit-learn"}
    ros = {"rclpy", "tf2_ros", "vision_msgs", "ament_index_python", "builtin_interfaces"}
    ours = {"otoc_ros", "offline_training"}
    extras = [one for extra in declared["extras_require"].values() for one in extra]
    requirements = " ".join(declared["install_requires"] + extras)
    package = (ROOT / "package.xml").read_text()
    missing = set()
    for folder in ours:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                else:
                    continue
                for name in {name.split(".")[0] for name in names} - ours:
                    if name in sys.stdlib_module_names or name in ros:
                        continue
                    if name.endswith(("_msgs", "_srvs")) or name == "rcl_interfaces":
                        if f"<exec_depend>{name}</exec_depend>" not in package:
                            missing.add(f"{name} in package.xml")
                    elif not re.search(rf"\b{known_as.get(name, name)}\b", requirements):
                        missing.add(f"{name} in setup.py ({file.relative_to(ROOT)})")
    assert not missing, missing
