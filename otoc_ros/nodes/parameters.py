"""The node's parameters: declared with descriptions and ranges, read when it is configured."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from otoc_ros.core.errors import InputError
from otoc_ros.site.bundle import shipped_bundle

RELIABILITY = ("best_effort", "reliable")

# Read while the node works: a change counts from the next cloud, reload or activation on.
LIVE = (
    "bundle",
    "site",
    "tf_timeout",
    "click_class",
    "display_delay",
    "marker_lifetime",
    "latency_limit",
    "silence_limit",
)


def _described(text: str, **more: Any) -> ParameterDescriptor:
    return ParameterDescriptor(description=text, **more)


def _seconds(text: str, high: float) -> ParameterDescriptor:
    reach = FloatingPointRange(from_value=0.0, to_value=high)
    return _described(f"{text} [s]", floating_point_range=[reach])


PARAMETERS: tuple[tuple[str, Any, ParameterDescriptor], ...] = (
    ("bundle", "", _described("Folder of the exported bundle; empty: the one that is shipped.")),
    (
        "providers",
        ["CPUExecutionProvider"],
        _described(
            "ONNX Runtime execution providers, preferred one first; those that are not installed "
            "are left out with a warning.",
            additional_constraints="CPUExecutionProvider, CUDAExecutionProvider, "
            "OpenVINOExecutionProvider, …",
        ),
    ),
    (
        "threads",
        2,
        _described(
            "Cores that one inference may use.",
            integer_range=[IntegerRange(from_value=1, to_value=64, step=1)],
        ),
    ),
    (
        "native_kernel",
        True,
        _described(
            "Where the preferred provider is the CPU's, let the C++ kernel run the sparse networks "
            "in place of ONNX Runtime, if it was built."
        ),
    ),
    (
        "leave_unknown",
        False,
        _described(
            "Publish what is stranger than the bundle's threshold as unknown, without a class."
        ),
    ),
    (
        "target_frame",
        "",
        _described("Frame whose z axis points up, looked up in TF for each cloud; empty: no TF."),
    ),
    ("tf_timeout", 0.1, _seconds("How long to wait for the transform of a cloud", 10.0)),
    (
        "sensor_rpy",
        [math.nan] * 3,
        _described(
            "Roll, pitch, yaw of the sensor's frame in a frame with z up [rad], used without "
            "target_frame; NaN: up is estimated from each cloud.",
            additional_constraints="three numbers, all finite or all NaN",
        ),
    ),
    (
        "reliability",
        "best_effort",
        _described(
            "Reliability of the subscription to points; reliable needs a reliable publisher.",
            additional_constraints=" or ".join(RELIABILITY),
        ),
    ),
    (
        "click_class",
        "",
        _described(
            "What the next clicks mean: the name of a class, known or new; name:stuff for a new "
            "one that has no objects. The topic ~/click_class sets it too."
        ),
    ),
    (
        "display_delay",
        0.1,
        _seconds("From publishing labels until a person sees them, to tell which they click", 5.0),
    ),
    (
        "site",
        "",
        _described("Folder of the site that keeps clicks; empty: otoc_ros/site in ROS's home."),
    ),
    (
        "autostart",
        False,
        _described("Configure and activate at start, without a lifecycle manager.", read_only=True),
    ),
    ("marker_lifetime", 2.0, _seconds("How long RViz keeps the markers; 0: for ever", 3600.0)),
    ("latency_limit", 0.5, _seconds("Receipt to labels above this is a warning", 3600.0)),
    ("silence_limit", 5.0, _seconds("No cloud for longer than this is a warning", 3600.0)),
)


@dataclass(frozen=True)
class Setup:
    """What stays as it is from configure to cleanup."""

    providers: tuple[str, ...]
    threads: int
    native_kernel: bool
    leave_unknown: bool
    target_frame: str
    sensor_rpy: tuple[float, float, float] | None
    reliable: bool


def declare_parameters(node: Node) -> None:
    """Declare every parameter; rclpy raises for a given value of a wrong type or range."""
    for name, default, descriptor in PARAMETERS:
        node.declare_parameter(name, default, descriptor)


def read_setup(node: Node) -> Setup:
    """The parameters that count from configure to cleanup.

    Raises:
        InputError: a value that no range could exclude.
    """
    given = {name: node.get_parameter(name).value for name, _, _ in PARAMETERS}
    if given["reliability"] not in RELIABILITY:
        raise InputError(
            f"reliability is {given['reliability']!r}; set it to {' or '.join(RELIABILITY)}"
        )
    if not given["providers"]:
        raise InputError("providers is empty; set it to at least [CPUExecutionProvider]")
    return Setup(
        providers=tuple(given["providers"]),
        threads=given["threads"],
        native_kernel=given["native_kernel"],
        leave_unknown=given["leave_unknown"],
        target_frame=given["target_frame"],
        sensor_rpy=_angles(given["sensor_rpy"]),
        reliable=given["reliability"] == "reliable",
    )


def read_bundle_path(node: Node) -> Path:
    """The folder of the bundle to load now.

    Raises:
        InputError: none is given and none was shipped.
    """
    given = node.get_parameter("bundle").value
    return Path(given).expanduser() if given else shipped_bundle()


def read_site_path(node: Node) -> Path:
    """The folder of the site that keeps clicks; it need not exist yet."""
    given = node.get_parameter("site").value
    return Path(given).expanduser() if given else ros_home() / "site"


def bank_folder(node: Node) -> Path:
    """Where a node keeps its banks; two nodes of one bundle must not share theirs."""
    name: str = node.get_fully_qualified_name()
    return ros_home() / "banks" / name.strip("/").replace("/", ".")


def ros_home() -> Path:
    """Our folder in the one where ROS keeps logs and other things that programs write."""
    home = os.environ.get("ROS_HOME")
    return (Path(home) if home else Path.home() / ".ros") / "otoc_ros"


def _angles(values: Any) -> tuple[float, float, float] | None:
    finite = [math.isfinite(value) for value in values]
    if len(values) != 3 or len(set(finite)) != 1:
        raise InputError(
            f"sensor_rpy is {list(values)}; give roll, pitch and yaw in radians, or three NaN"
        )
    return (values[0], values[1], values[2]) if finite[0] else None
