"""Frames that move against each other, as /tf and /tf_static tell it; the robot needs no ROS here.

Poses are float64 [4, 4]: `T_a_b` multiplies a homogeneous point of frame b to frame a. Times are
nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from otoc_ros.core.errors import InputError

Pose = NDArray[np.float64]

GAP = 1_000_000_000  # a robot that was not heard of for longer may be anywhere
JUMP = 10_000_000_000  # a stamp so far behind the newest is a clock that was set back
KEPT = 30_000_000_000  # what is older than this behind the newest is forgotten
WORLDS = ("map", "odom")  # REP 105: fixed frames, the better one first


class TransformError(InputError):
    """Two frames cannot be connected at a time; the message names all three.

    Attributes:
        later: a transform yet to come may still connect them.
    """

    def __init__(self, message: str, *, later: bool = False) -> None:
        super().__init__(message)
        self.later = later


class Transform(NamedTuple):
    """One geometry_msgs/TransformStamped: the pose of `child` in `parent`."""

    parent: str
    child: str
    stamp_ns: int
    translation: tuple[float, float, float]
    rotation: tuple[float, float, float, float]  # quaternion x y z w


class _Edge:
    """A child's poses in its parent over time; static ones hold for ever."""

    def __init__(self, parent: str, static: bool) -> None:
        self.parent, self.static = parent, static
        self.samples: list[tuple[int, Transform]] = []


class TransformTree:
    """The newest `KEPT` nanoseconds of every frame's pose in its parent.

    Args:
        gap: nanoseconds between two transforms that are not bridged.

    Attributes:
        jumps: how often a clock was set back; what was known of that frame is then forgotten.
    """

    def __init__(self, gap: int = GAP) -> None:
        self._gap = gap
        self._edges: dict[str, _Edge] = {}
        self.jumps = 0

    def add(self, transform: Transform, *, static: bool = False) -> None:
        """Learn one transform; one that holds NaN or no rotation is ignored."""
        values = np.array([*transform.translation, *transform.rotation])
        if not np.isfinite(values).all() or np.linalg.norm(values[3:]) < 1e-6:
            return
        parent, child = transform.parent.lstrip("/"), transform.child.lstrip("/")
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.static != static:
            edge = self._edges[child] = _Edge(parent, static)
        sample = (transform.stamp_ns, transform)
        if static:
            edge.samples = [sample]
            return
        newest = edge.samples[-1][0] if edge.samples else transform.stamp_ns
        if transform.stamp_ns < newest - JUMP:
            self.jumps += 1
            edge.samples = []
        if edge.samples and transform.stamp_ns <= newest:
            insort(edge.samples, sample, key=lambda known: known[0])
        else:
            edge.samples.append(sample)
        old = bisect_left(edge.samples, edge.samples[-1][0] - KEPT, key=lambda known: known[0])
        if old > 1000:  # now and then, as it moves the whole list
            del edge.samples[:old]

    def place(self, parent: str, child: str, stamp_ns: int, pose: Pose) -> None:
        """Learn a pose T_parent_child from elsewhere, such as odometry."""
        turn = Rotation.from_matrix(pose[:3, :3]).as_quat()
        self.add(Transform(parent, child, stamp_ns, tuple(pose[:3, 3]), tuple(turn)))

    def ancestors(self, frame: str) -> list[str]:
        """A frame, its parent, and so on up to the root.

        Raises:
            TransformError: the frames form a circle.
        """
        chain = [frame.lstrip("/")]
        while (edge := self._edges.get(chain[-1])) is not None:
            if edge.parent in chain:
                circle = " > ".join([edge.parent, *chain[::-1]])
                raise TransformError(f"the frames of /tf form a circle: {circle}; mend the robot")
            chain.append(edge.parent)
        return chain

    def world(self, frame: str) -> str:
        """The fixed frame in which `frame` moves: map, else odom, else the topmost one.

        Raises:
            TransformError: nothing above `frame` moves.
        """
        chain = self.ancestors(frame)
        world = next((name for name in WORLDS if name in chain), chain[-1])
        above = chain[: chain.index(world)]
        if all(self._edges[name].static for name in above):
            known = ", ".join(sorted(self._edges)[:12]) or "none"
            raise TransformError(
                f"no transform moves {chain[0]!r}: its parents are {chain[1:] or 'unknown'} and "
                f"the bag has the child frames {known}; record /tf, or use --fuse odometry",
                later=True,
            )
        return world

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose:
        """T_target_source at a time, positions interpolated linearly and turns by slerp.

        Raises:
            TransformError: the frames are not connected, or not at that time.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        up, down = self.ancestors(source), self.ancestors(target)
        common = next((name for name in up if name in down), None)
        if common is None:
            raise TransformError(
                f"no transform connects {target!r} with {source!r}: /tf has {' < '.join(up)} and "
                f"{' < '.join(down)}; record /tf and /tf_static from the start",
                later=True,
            )
        pose = np.eye(4)
        for name in up[: up.index(common)]:
            pose = self._at(name, stamp_ns) @ pose
        back = np.eye(4)
        for name in down[: down.index(common)]:
            back = self._at(name, stamp_ns) @ back
        return np.linalg.inv(back) @ pose

    def _at(self, child: str, stamp_ns: int) -> Pose:
        edge = self._edges[child]
        samples = edge.samples
        if edge.static:
            return _matrix(samples[0][1])
        row = bisect_right(samples, stamp_ns, key=lambda known: known[0])
        if row and samples[row - 1][0] == stamp_ns:
            return _matrix(samples[row - 1][1])
        if row == 0 or row == len(samples):
            first, last = samples[0][0], samples[-1][0]
            raise TransformError(
                f"{edge.parent!r} to {child!r} is known from {first / 1e9:.3f} to "
                f"{last / 1e9:.3f} s, not at {stamp_ns / 1e9:.3f} s",
                later=row > 0,
            )
        (before, earlier), (after, later) = samples[row - 1 : row + 1]
        if after - before > self._gap:
            raise TransformError(
                f"{edge.parent!r} to {child!r} has a gap from {before / 1e9:.3f} to "
                f"{after / 1e9:.3f} s, around {stamp_ns / 1e9:.3f} s"
            )
        return _between(earlier, later, (stamp_ns - before) / (after - before))


def _matrix(transform: Transform) -> Pose:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(transform.rotation).as_matrix()
    pose[:3, 3] = transform.translation
    return pose


def _between(a: Transform, b: Transform, share: float) -> Pose:
    pose = np.eye(4)
    turns: Any = Rotation.from_quat([a.rotation, b.rotation])
    pose[:3, :3] = Slerp([0.0, 1.0], turns)(share).as_matrix()
    pose[:3, 3] = (1 - share) * np.array(a.translation) + share * np.array(b.translation)
    return pose
