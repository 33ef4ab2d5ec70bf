"""What a demo works on: a site to learn, and a bag to play to the live node."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth


@dataclass(frozen=True, eq=False)
class Material:
    """A site with scenes of splits train and val, and a recording of a depth camera.

    Attributes:
        title: of the report.
        origin: one sentence: where the data come from, and whether they are simulated.
        bag: rosbag2 of organised clouds.
        truth_at: of every message of the bag by its stamp in nanoseconds, in their order; None
            where a message has no truth.
        shown: names of the scenes of train and of val that the report shows.
        showroom: scenes are rooms, seen from inside; otherwise single views of one camera.
    """

    title: str
    origin: str
    site: Site
    bag: Path
    truth_at: dict[int, Truth | None]
    shown: tuple[str, str]
    showroom: bool
