"""The clouds that a person may be looking at: which one a click means, and which point of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.perception.pipeline import LabelledCloud, SeenCloud

KEPT = 10  # clouds; at 640 x 480 points each takes about 12 MB
SNAP = 0.05  # metres from a click to the nearest point

Position = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shown:
    """A cloud as it was published with its labels.

    Attributes:
        stamp: of its header, nanoseconds. frame: of its header.
        time: when it was published, nanoseconds of the clock that clicks are stamped with.
        cloud: N points. seen, labelled: what the pipeline made of it.
        pose: float64 [4, 4], into the frame in which objects are followed; None: its own.
        header: whatever is needed to publish it again.
    """

    stamp: int
    frame: str
    time: int
    cloud: Cloud
    seen: SeenCloud
    labelled: LabelledCloud
    pose: NDArray[np.float64] | None = None
    header: object = None


class ShownClouds:
    """The last clouds that were shown, the newest one last."""

    def __init__(self) -> None:
        self._clouds: deque[Shown] = deque(maxlen=KEPT)
        self._lock = Lock()  # clouds come in one thread, clicks in another

    def add(self, shown: Shown) -> None:
        """Keep a cloud, and let the oldest one go."""
        with self._lock:
            self._clouds.append(shown)

    def relabel(self, shown: Shown, labelled: LabelledCloud) -> None:
        """A cloud that is kept was shown again with other labels."""
        with self._lock:
            for place, kept in enumerate(self._clouds):
                if kept is shown:
                    self._clouds[place] = replace(shown, labelled=labelled)
                    return

    def last(self) -> Shown | None:
        """The last cloud that was shown, if any was."""
        return self._clouds[-1] if self._clouds else None

    def newest(self) -> Shown:
        """The last cloud that was shown; InputError where none was."""
        last = self.last()
        if last is None:
            raise InputError(
                "no cloud was labelled since the bundle was loaded; subscribe to the labels "
                "(RViz does) and check that the sensor publishes"
            )
        return last

    def at(self, stamp: int, delay: int) -> Shown:
        """The cloud that a click of some stamp was made on.

        A tool may stamp the click as the cloud it shows. RViz stamps it with the present, when it
        showed the last cloud that had reached it by then.

        Args:
            stamp: of the click, nanoseconds; 0: on the newest cloud.
            delay: nanoseconds from publishing a cloud until a person sees it.

        Raises:
            InputError: the click was made before any of the clouds that are kept was shown.
        """
        newest = self.newest()
        with self._lock:
            clouds = list(self._clouds)
        if stamp == 0:
            return newest
        of_that_stamp = [shown for shown in clouds if shown.stamp == stamp]
        seen_by_then = [shown for shown in clouds if shown.time <= stamp - delay]
        # A replayed recording is shown long after its stamps.
        recorded_by_then = [shown for shown in clouds if shown.stamp <= stamp - delay]
        for candidates in (of_that_stamp, seen_by_then, recorded_by_then):
            if candidates:
                return candidates[-1]
        if clouds[0].time <= stamp:  # shown faster than most: there was nothing else to click on
            return clouds[0]
        late = (clouds[0].time - stamp) / 1e9
        raise InputError(
            f"the click is {late:.2f} s older than the oldest of the {len(clouds)} clouds that are "
            "kept; click again, and check that the clocks of RViz and of the robot agree"
        )


def snap(cloud: Cloud, position: Position) -> int:
    """Row of the point nearest to a click.

    Args:
        cloud: of one finite point at least, as every labelled one is.
        position: x, y, z in metres, in the cloud's frame.

    Raises:
        InputError: no point within 5 cm.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # infinite points are none
        squared = ((cloud.xyz - np.asarray(position, np.float32)) ** 2).sum(axis=1)
    squared[~np.isfinite(squared)] = np.inf
    row = int(squared.argmin())
    distance = float(np.sqrt(squared[row]))
    if not distance <= SNAP:
        spot = np.round(np.asarray(position, float), 2).tolist()
        raise InputError(
            f"the click at {spot} is {distance:.2f} m from the nearest point of the cloud it was "
            f"made on, and at most {SNAP} m are taken for aim; click on a point, and where the "
            "robot moves set display_delay to what RViz lags behind"
        )
    return row
