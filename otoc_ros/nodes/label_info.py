"""`~/label_info` of vision_msgs, where that package is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otoc_ros.site.classes import ClassInfo

__all__ = ["LabelInfo", "label_info"]

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # `~/label_info_json` says the same
    LabelInfo = VisionClass = None


def label_info(classes: Sequence[ClassInfo], stamp: Any) -> Any:
    """The class table as vision_msgs/LabelInfo."""
    found = LabelInfo()
    found.header.stamp = stamp
    found.class_map = [
        VisionClass(class_id=row, class_name=known.name) for row, known in enumerate(classes)
    ]
    return found
