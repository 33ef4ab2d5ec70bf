"""The live node: clouds in, labels out. It converts, calls `perception` and publishes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from time import perf_counter
from traceback import format_exc
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import decode_pointcloud2
from otoc_ros.nodes.clicks import Clicks, Desk
from otoc_ros.nodes.frames import TransformTree, up_of_pose, up_of_rpy
from otoc_ros.nodes.health import ERROR, OK, Health, status_message
from otoc_ros.nodes.messages import outline
from otoc_ros.nodes.outputs import Outputs
from otoc_ros.nodes.parameters import (
    LIVE,
    PARAMETERS,
    Setup,
    bank_folder,
    declare_parameters,
    read_bundle_path,
    read_setup,
    read_site_path,
)
from otoc_ros.nodes.running import EXIT_PATIENCE, leave, spin
from otoc_ros.nodes.serving import Serving, load
from otoc_ros.nodes.worker import NewestFirst
from otoc_ros.perception import Shown, SteadyIdentity

DIAGNOSTICS_PERIOD = 1.0  # seconds
STALE_STAMP = 60.0  # seconds; an older stamp is a replay and says nothing about latency

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PerceptionNode(LifecycleNode):
    """A managed node: parameters at configure, bundle at activate, all released on the way back."""

    def __init__(self) -> None:
        super().__init__("perception_node")
        declare_parameters(self)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._health = Health()
        self._identity = SteadyIdentity()  # counts on through reloads: no id is used again
        self._problem = ""
        self._setup: Setup | None = None
        self._tree: TransformTree | None = None
        self._serving: Serving | None = None
        self._worker: NewestFirst[tuple[PointCloud2, float]] | None = None
        self._loading = Lock()
        self._points: Any = None
        self._outputs: Outputs | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # also while a simulation is paused
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=steady)
        # Apart from the rest, which goes on while a bundle loads: clouds, diagnostics, get_state.
        apart = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "~/reload_bundle", self._reload_bundle, callback_group=apart)
        self._clicks = Clicks(self, apart, self._health, self._desk)
        if self.get_parameter("autostart").value:
            self._start = self.create_timer(0.0, self._autostart, apart, clock=steady)

    def _autostart(self) -> None:
        self._start.cancel()
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._setup = read_setup(self)
            if self._setup.target_frame:
                self._tree = TransformTree(self, self._setup.target_frame)
        except Exception as error:
            return self._fail("cannot configure", error)
        self._outputs = Outputs(self)
        self._problem = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self._serving = self._load()
        except Exception as error:
            return self._fail("cannot activate", error)
        assert self._setup is not None and self._outputs is not None
        reliable = self._setup.reliable
        self._health.reset()
        self._identity.forget()
        self._problem = ""
        done = super().on_activate(state)  # from here on the publishers publish
        self._publish_label_info(self._serving)
        self._worker = NewestFirst(self._work, "perception")
        self._points = self.create_subscription(
            PointCloud2,
            "points",
            self._receive,
            QoSProfile(
                depth=1,
                history=HistoryPolicy.KEEP_LAST,
                reliability=(
                    ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
                ),
            ),
        )
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release_bundle(patience=60.0)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release_setup()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an unforeseen exception in a transition: back to unconfigured, ready to retry."""
        self.release()
        return SUCCESS

    def release(self, patience: float = EXIT_PATIENCE) -> bool:
        """Give everything back; False when a load or an inference outlasts the patience."""
        if not self._loading.acquire(timeout=patience):
            return False
        try:
            stopped = self._release_bundle(patience)
            self._release_setup()
        finally:
            self._loading.release()
        return stopped

    def _release_bundle(self, patience: float) -> bool:
        if self._points is not None:
            self.destroy_subscription(self._points)
            self._points = None
        stopped = self._worker is None or self._worker.stop(patience)
        self._worker = None
        self._serving = None
        return stopped

    def _release_setup(self) -> None:
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = None
        if self._tree is not None:
            self._tree.close()
        self._tree = None
        self._setup = None

    def _fail(self, what: str, error: Exception) -> TransitionCallbackReturn:
        """Tell why a transition failed; rclpy says nothing of what a callback raises."""
        self._problem = f"{what}: {error}"
        if not isinstance(error, InputError):
            self._problem = f"{what}: {type(error).__name__}: {error}"
        self.get_logger().error(self._problem)
        self.get_logger().debug(format_exc())
        return FAILURE

    def _load(self) -> Serving:
        assert self._setup is not None
        path, log = read_bundle_path(self), self.get_logger()
        log.info(f"loading bundle {path}; the first time after an installation, code is compiled")
        with self._loading:
            serving = load(
                path,
                read_site_path(self),
                bank_folder(self),
                self._setup.providers,
                self._setup.threads,
                log.warning,
                native_kernel=self._setup.native_kernel,
                leave_unknown=self._setup.leave_unknown,
            )
        state = serving.state
        log.info(
            f"serving bundle {state['bundle']} ({state['classes']} classes, hash "
            f"{state['bundle hash'][:12]}) on {state['runner']}, ready in "
            f"{state['loaded and warmed in [s]']} s"
        )
        return serving

    def _publish_label_info(self, serving: Serving) -> None:
        assert self._outputs is not None
        bank = serving.corrections.bank
        self._outputs.publish_label_info(serving.perception.info, bank.classes)

    def _desk(self) -> Desk | None:
        serving, outputs, tree = self._serving, self._outputs, self._tree
        if serving is None or outputs is None:
            return None
        return Desk(serving, outputs, self._identity, tree.lookup if tree else None)

    def _reload_bundle(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        if self._serving is None:
            answer.message = "no bundle is served: activate the node, that loads the bundle"
            return answer
        try:
            fresh = self._load()
        except InputError as error:
            answer.message = f"still serving the old bundle: {error}"
            self.get_logger().error(answer.message)
            return answer
        if self._serving is None or self._outputs is None:  # deactivated meanwhile
            answer.message = "the node was deactivated; the bundle loads at its next activation"
            return answer
        self._serving = fresh
        self._identity.forget()  # its objects and classes are others
        self._publish_label_info(fresh)
        answer.success = True
        answer.message = f"serving {fresh.state['bundle']}, hash {fresh.state['bundle hash']}"
        return answer

    def _check_parameters(self, changes: Sequence[Parameter]) -> SetParametersResult:
        own = {name for name, _, _ in PARAMETERS}
        for change in changes:
            if self._setup is not None and change.name in own and change.name not in LIVE:
                return SetParametersResult(
                    successful=False,
                    reason=f"{change.name} is read at configure: clean the node up first",
                )
        return SetParametersResult(successful=True)

    def _receive(self, message: PointCloud2) -> None:
        self._health.count("received")
        if self._worker is None or self._outputs is None:
            return
        if not self._outputs.watched():
            self._health.count("unwatched")
        elif self._worker.put((message, perf_counter())):
            self._health.count("dropped")

    def _work(self, item: tuple[PointCloud2, float]) -> None:
        """Label one cloud, whatever it is: no cloud may end the thread or the process."""
        message, received = item
        serving, outputs = self._serving, self._outputs
        if serving is None or outputs is None:
            return
        kind = "malformed message"
        try:
            begin = perf_counter()
            cloud = decode_pointcloud2(message)
            times = {"wait": (begin - received) * 1e3, "convert": _ms_since(begin)}
            kind = "no transform"
            up, pose = self._orientation(message)
            kind = "unusable points"
            seen = serving.perception.see(cloud, up)
            bank = serving.corrections.bank  # as late as can be: a click counts at once
            labelled = serving.perception.label(seen, bank, pose)
            times |= {k: v for k, v in labelled.milliseconds.items() if k != "total"}
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            begin = perf_counter()
            labelled = self._identity(cloud, labelled, stamp / 1e9, pose)
            times["identity"] = _ms_since(begin)
            kind = "not published"
            begin = perf_counter()
            lifetime = self.get_parameter("marker_lifetime").value
            now, source = self.get_clock().now().nanoseconds, outline(message)
            # Before it is published: a click may follow at once.
            serving.shown.add(
                Shown(stamp, message.header.frame_id, now, cloud, seen, labelled, pose, source)
            )
            outputs.publish(message, cloud, labelled, bank.classes, lifetime)
            now = self.get_clock().now().nanoseconds
        except InputError as error:
            self._health.reject(kind, str(error), self.get_logger().warning)
            return
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            self._health.reject(f"failure, {kind}", reason, self.get_logger().warning)
            self.get_logger().debug(format_exc())
            return
        times["publish"] = _ms_since(begin)
        times["total"] = _ms_since(received)
        age = (now - stamp) / 1e9
        if 0 <= age < STALE_STAMP:
            times["stamp to labels"] = age * 1e3
        self._health.time(times)
        self._health.count("labelled")

    def _orientation(self, message: PointCloud2) -> tuple[Any, Any]:
        """Up [3] in the cloud's frame, and T_target_cloud [4, 4]; None for what nobody tells."""
        if self._tree is not None:
            pose = self._tree.pose(message.header, self.get_parameter("tf_timeout").value)
            return up_of_pose(pose), pose
        if self._setup is not None and self._setup.sensor_rpy is not None:
            return up_of_rpy(self._setup.sensor_rpy), None
        return None, None

    def _up_source(self) -> str:
        if self._tree is not None and self._setup is not None:
            return f"TF to {self._setup.target_frame}"
        if self._setup is not None and self._setup.sensor_rpy is not None:
            return f"sensor_rpy {self._setup.sensor_rpy}"
        return "estimated from each cloud"

    def _publish_diagnostics(self) -> None:
        name = f"{self.get_fully_qualified_name().lstrip('/')}: clouds"
        serving = self._serving
        if serving is None:
            level = ERROR if self._problem else OK
            status = status_message(level, name, self._problem or "not active", {})
        else:
            status = self._health.status(
                name,
                {**serving.state, "up": self._up_source()},
                self.get_parameter("latency_limit").value,
                self.get_parameter("silence_limit").value,
            )
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM, which end it with status 0."""
    rclpy.init(args=arguments)
    try:
        node = PerceptionNode()
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        rclpy.try_shutdown()
        print(f"perception_node: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        spin(node, executor)
    leave(node, executor, idle=node.release())


def _ms_since(begin: float) -> float:
    return (perf_counter() - begin) * 1e3


if __name__ == "__main__":
    main()
