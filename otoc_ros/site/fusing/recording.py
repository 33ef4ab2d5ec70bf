"""A rosbag2 as posed views: poses from /tf, or by odometry from the clouds themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from otoc_ros.core.cloud import Cloud, estimate_up
from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import decode_pointcloud2
from otoc_ros.site.fusing.odometry import Odometry
from otoc_ros.site.fusing.transforms import (
    GAP,
    JUMP,
    WORLDS,
    Pose,
    Transform,
    TransformError,
    TransformTree,
)
from otoc_ros.site.fusing.upright import Gravity, Up
from otoc_ros.site.fusing.views import Break, PosedView
from otoc_ros.site.readers.bag import MESSAGE_TYPE, BagMessage, all_topics, read_messages

TF_TYPE = "tf2_msgs/msg/TFMessage"
IMU_TYPE = "sensor_msgs/msg/Imu"
PATIENCE = 2_000_000_000  # log time that a cloud waits for its transforms
IMU_PERIOD = 100_000_000  # readings closer than this say the same
BODIES = ("base_link", "base_footprint")  # REP 105: z up where the robot stands level
TOLD = 3  # reasons that are told in full
STRETCH = "odometry_"  # the world of odometry, until it is lost

Poses = Literal["tf", "odometry"]


class _Waiting(NamedTuple):
    """A message that is not decoded yet, until the pose of its frame is known."""

    topic: str
    frame: str
    stamp_ns: int
    recorded_ns: int
    message: Any


class Recording:
    """The clouds of one or more sensors of a bag, with their poses in one world frame.

    Iterate `views` once, to the end; then the other members tell what became of the rest.

    Args:
        path: the bag.
        topics: of clouds; odometry follows the first.
        every: least seconds between two clouds of a topic.
        poses: where they come from.

    Attributes:
        world: the frame of the poses.
        left_out: clouds that no pose was found for.
        reasons: why, the first few.
    """

    def __init__(self, path: Path, topics: Sequence[str], every: float, poses: Poses) -> None:
        self._path, self._topics, self._every = path, tuple(topics), every
        self._poses = poses
        self.world = ""
        self.left_out = 0
        self.reasons: list[str] = []
        self._seen = 0
        self._tree = TransformTree(max(GAP, round(3e9 * every)) if poses == "odometry" else GAP)
        self._gravity = Gravity()
        self._readings: deque[_Waiting] = deque(maxlen=50)
        # Odometry's first cloud, the turn of its sensor on the robot's body, the body's frame.
        self._first: tuple[Cloud, Pose, str] | None = None
        self._odometry = Odometry()
        self._stretch = 1

    def views(self) -> Iterator[PosedView | Break]:
        """The clouds with poses, and a Break where poses before and after do not belong together.

        Raises:
            InputError: the bag cannot be read on, or not one cloud has a pose: the message names
                the frames and times.
        """
        found = all_topics(self._path)
        transforms = [topic.name for topic in found if topic.type == TF_TYPE]
        static = [name for name in transforms if name.endswith("tf_static")]
        moving = [name for name in transforms if name not in static]
        imu = next((topic.name for topic in found if topic.type == IMU_TYPE), None)
        # They hold for the whole bag, but may have been recorded late.
        for said in read_messages(self._path, static):
            self._learn(said, static=True)
        wanted = {*self._topics, *(moving if self._poses == "tf" else ()), *({imu} - {None})}
        yield from self._posed(read_messages(self._path, wanted))
        if self._seen and self.left_out == self._seen:
            raise InputError(
                f"{self._path}: none of {self._seen} clouds has a pose: {self.reasons[0]}"
            )

    def up(self, cloud: Cloud) -> Up:
        """Up in the world frame: from TF's conventions, gravity, or the surfaces."""
        if self._poses == "tf" and self.world in WORLDS:
            return Up(np.array([0.0, 0.0, 1.0]), f"z of frame {self.world}")
        felt = self._gravity.up()
        if felt is not None:
            return Up(felt, f"gravity, {self._gravity.readings} readings of the IMU")
        start = self.world if self._first is None else self._first[2]
        if start in BODIES or (self._poses == "tf" and "optical" not in start):
            return Up(np.array([0.0, 0.0, 1.0]), f"z of frame {start}")
        if self._first is None:
            return Up(estimate_up(cloud.xyz), "estimated from the surfaces")
        # The first view's own frame tells a camera from a lidar; the fused cloud does not.
        seen, turn, _ = self._first
        return Up(turn @ estimate_up(seen.xyz), "estimated from the first view", seen=True)

    def summary(self) -> str:
        """What a person should know about clouds without a pose; nothing where all have one."""
        parts = []
        if self.left_out:
            told = "; ".join(self.reasons)
            parts.append(f"{self.left_out} of {self._seen} clouds left out without a pose: {told}")
        if self._tree.jumps:
            parts.append(f"the clock of /tf was set back {self._tree.jumps} times")
        return "; ".join(parts)

    def _posed(self, messages: Iterator[BagMessage]) -> Iterator[PosedView | Break]:
        waiting: deque[_Waiting] = deque()
        due: dict[str, int] = {}
        for said in messages:
            if said.type == TF_TYPE:
                self._learn(said, static=False)
            elif said.type == IMU_TYPE:
                self._feel(said)
            elif said.type == MESSAGE_TYPE:
                cloud = _stamped(said)
                wanted = due.get(cloud.topic)
                # Far behind the last one: a clock that was set back, not a cloud too early.
                if wanted is not None and wanted - JUMP < cloud.stamp_ns < wanted:
                    continue
                due[cloud.topic] = cloud.stamp_ns + round(self._every * 1e9)
                if self._poses == "odometry" and cloud.topic == self._topics[0]:
                    points = self._decoded(cloud)
                    pose = self._odometry.follow(points)
                    if pose is None and self.world:
                        yield from self._served(waiting, None)
                        yield Break(f"odometry lost {cloud.topic} at {cloud.stamp_ns / 1e9:.3f} s")
                        self._start_again()
                        pose = self._odometry.follow(points)
                    if pose is not None:
                        self._place(cloud, points, pose)
                waiting.append(cloud)
                self._seen += 1
            yield from self._served(waiting, said.recorded_ns)
        yield from self._served(waiting, None)

    def _served(self, waiting: deque[_Waiting], now: int | None) -> Iterator[PosedView]:
        """Clouds whose poses are known, in their order; None: no transform will come any more."""
        while waiting:
            cloud = waiting[0]
            try:
                world = self.world or self._world_of(cloud)
                pose = self._tree.lookup(world, cloud.frame, cloud.stamp_ns)
            except TransformError as error:
                if error.later and now is not None and now - cloud.recorded_ns < PATIENCE:
                    return
                self._leave_out(cloud, error)
                waiting.popleft()
                continue
            waiting.popleft()
            self.world = world
            yield PosedView(cloud.stamp_ns, cloud.topic, pose, partial(self._decoded, cloud))

    def _world_of(self, cloud: _Waiting) -> str:
        if self._poses == "tf":
            return self._tree.world(cloud.frame)
        raise TransformError(f"{self._topics[0]} shows too little to follow", later=True)

    def _start_again(self) -> None:
        self._odometry, self._gravity, self._first = Odometry(), Gravity(), None
        self._stretch += 1
        self.world = ""

    def _place(self, cloud: _Waiting, points: Cloud, pose: Pose) -> None:
        """Tell odometry's pose of a sensor as if /tf had told it of the robot's body."""
        chain = self._tree.ancestors(cloud.frame)
        body = [name for name in chain if not name.startswith(STRETCH)][-1]
        mount = self._tree.lookup(body, cloud.frame, cloud.stamp_ns)
        if self._first is None:
            self._first = (points, mount[:3, :3], body)
        # The world begins where the body begins: a robot's body stands level, a camera need not.
        pose = mount @ pose @ np.linalg.inv(mount)
        self.world = f"{STRETCH}{self._stretch}"
        self._tree.place(self.world, body, cloud.stamp_ns, pose)

    def _learn(self, said: BagMessage, *, static: bool) -> None:
        for stamped in said.message.transforms:
            stamp = stamped.header.stamp.sec * 10**9 + stamped.header.stamp.nanosec
            t, r = stamped.transform.translation, stamped.transform.rotation
            self._tree.add(
                Transform(
                    stamped.header.frame_id,
                    stamped.child_frame_id,
                    stamp,
                    (t.x, t.y, t.z),
                    (r.x, r.y, r.z, r.w),
                ),
                static=static,
            )

    def _feel(self, said: BagMessage) -> None:
        """Remember a reading until the turn of its sensor is known."""
        if self._readings and said.recorded_ns - self._readings[-1].recorded_ns < IMU_PERIOD:
            return
        self._readings.append(_stamped(said))
        while self.world and self._readings:
            reading = self._readings[0]
            try:
                pose = self._tree.lookup(self.world, reading.frame, reading.stamp_ns)
                felt = reading.message.linear_acceleration
                self._gravity.feel(np.array([felt.x, felt.y, felt.z]), pose[:3, :3])
            except TransformError as error:
                if error.later:
                    return
            self._readings.popleft()

    def _decoded(self, cloud: _Waiting) -> Cloud:
        try:
            return decode_pointcloud2(cloud.message)
        except InputError as error:
            at = f"{self._path}: cloud of {cloud.topic} at {cloud.stamp_ns / 1e9:.3f} s"
            raise InputError(f"{at}: {error}") from error

    def _leave_out(self, cloud: _Waiting, error: TransformError) -> None:
        self.left_out += 1
        if len(self.reasons) < TOLD:
            self.reasons.append(f"{cloud.topic} at {cloud.stamp_ns / 1e9:.3f} s: {error}")


def _stamped(said: BagMessage) -> _Waiting:
    header = said.message.header
    stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
    return _Waiting(said.topic, header.frame_id, stamp, said.recorded_ns, said.message)
