"""The classes of the simulated rooms as a site holds them."""

from __future__ import annotations

from otoc_ros.site.classes import ClassInfo


def room_classes() -> list[ClassInfo]:
    """In the order of their ids."""
    from offline_training.rooms.classes import COLORS, STUFF

    return [
        ClassInfo(name=name, color=color, kind="stuff" if name in STUFF else "thing")
        for name, color in COLORS.items()
    ]
