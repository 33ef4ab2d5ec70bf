"""The launch file and the configuration beside it, against the real node."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from built import ROOT

from otoc_ros.nodes.parameters import PARAMETERS


def test_the_parameter_file_holds_every_parameter_at_its_default() -> None:
    known = {name: default for name, default, _ in PARAMETERS}
    file = yaml.safe_load((ROOT / "config/perception.param.yaml").read_text())
    written = file["/**"]["ros__parameters"]
    assert set(written) == set(known) - {"autostart"}  # that is an argument of the launch file
    for name, value in written.items():
        assert type(value) is type(known[name]) and repr(value) == repr(known[name]), name


def test_the_launch_file_names_what_there_is(declared: dict[str, Any]) -> None:
    """What can be known without launch: executables, files, parameters, described arguments."""
    source = (ROOT / "launch/perception.launch.py").read_text()
    tree = ast.parse(source)
    executables = {
        keyword.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "executable" and isinstance(keyword.value, ast.Constant)
    }
    scripts = {script.split(" = ")[0] for script in declared["entry_points"]["console_scripts"]}
    assert executables - {"rviz2"} <= scripts
    for name in re.findall(r'CONFIG / "([^"]+)"', source):
        assert (ROOT / "config" / name).exists(), name
    arguments = next(
        ast.literal_eval(re.sub(r"str\(.*?\)", '"path"', ast.unparse(node.value)))
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARGUMENTS"
    )
    for name, _, description in arguments:
        assert description, name
        assert source.count(f'"{name}"') > 1, f"{name} is never used"


def test_launch_builds_its_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under ROS 2's launch only, for which our folder of that name must not stand."""
    pytest.importorskip("launch.actions", reason="comes with a ROS 2 installation")
    pytest.importorskip("launch_ros.actions", reason="comes with a ROS 2 installation")
    from launch import LaunchContext

    marker = tmp_path / "share/ament_index/resource_index/packages/otoc_ros"
    marker.parent.mkdir(parents=True)
    marker.touch()
    (tmp_path / "share/otoc_ros").symlink_to(ROOT)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    module = runpy.run_path(str(ROOT / "launch/perception.launch.py"))
    description = module["generate_launch_description"]()
    assert all(argument.description for argument in description.get_launch_arguments())
    context = LaunchContext()
    for argument in description.get_launch_arguments():
        argument.visit(context)
    assert [node.node_executable for node in module["nodes"](context)] == ["perception_node"]
    context.launch_configurations.update(
        bag="/bag", bag_topic="/points", rviz="true", shared_memory="true"
    )
    executables = [node.node_executable for node in module["nodes"](context)]
    assert executables == ["perception_node", "play_clouds", "rviz2"]
