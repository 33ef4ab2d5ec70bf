"""A person's clicks in RViz, and the services about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from geometry_msgs.msg import PointStamped
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from otoc_ros.core.errors import InputError
from otoc_ros.nodes.frames import Lookup, position_in
from otoc_ros.nodes.health import Health
from otoc_ros.nodes.outputs import Outputs
from otoc_ros.nodes.serving import Serving
from otoc_ros.perception import Shown, SteadyIdentity


class Desk(NamedTuple):
    """What an active node works with."""

    serving: Serving
    outputs: Outputs
    identity: SteadyIdentity
    lookup: Lookup | None


class Clicks:
    """Takes clicks, undoes them, saves scenes; everything in one callback group, one by one.

    Args:
        node: its parameters are `click_class`, `display_delay` and `tf_timeout`.
        group: of all its callbacks; they write to disk and may wait for TF.
        desk: what the node works with; None while it is not active.
    """

    def __init__(
        self,
        node: LifecycleNode,
        group: CallbackGroup,
        health: Health,
        desk: Callable[[], Desk | None],
    ) -> None:
        self._node, self._health, self._desk = node, health, desk
        node.create_subscription(
            PointStamped, "clicked_point", self._click, 10, callback_group=group
        )
        node.create_subscription(String, "~/click_class", self._choose, 10, callback_group=group)
        node.create_service(Trigger, "~/undo_click", self._undo, callback_group=group)
        node.create_service(Trigger, "~/save_scene", self._save_scene, callback_group=group)

    def _choose(self, message: String) -> None:
        chosen = Parameter("click_class", Parameter.Type.STRING, message.data)
        self._node.set_parameters([chosen])

    def _click(self, message: PointStamped) -> None:
        log = self._node.get_logger()
        try:
            desk = self._active()
            corrections = desk.serving.corrections
            shown = desk.serving.shown.at(_nanoseconds(message.header.stamp), self._delay())
            position = position_in(
                message, shown.frame, shown.stamp, desk.lookup, self._value("tf_timeout")
            )
            correction = corrections.understand(shown, position, self._value("click_class"))
        except InputError as error:
            self._health.count("clicks refused")
            self._health.say(f"refused: {error}")
            log.warning(f"click refused: {error}")
            return
        corrections.teach(correction)
        self._show(desk, shown)
        self._health.count("clicks")
        said = f"{correction.info.name} at {_rounded(correction.click.position)}"
        try:
            scene = corrections.keep(correction, shown)
        except InputError as error:
            said += f" holds until the node restarts, but could not be saved: {error}"
            log.error(f"click {said}")
        else:
            said += f", click {correction.click.id} in {scene.path}"
            log.info(f"click {said}")
        self._health.say(said)

    def _undo(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            desk = self._active()
            lesson = desk.serving.corrections.forget()
        except InputError as error:
            answer.message = str(error)
            return answer
        self._show(desk, desk.serving.shown.last())
        answer.message = f"undone: {lesson.class_name}, click {lesson.click}"
        try:
            desk.serving.corrections.withdraw(lesson)
            answer.success = True
        except InputError as error:
            answer.message += f"; but on disk it stays: {error}"
            self._node.get_logger().error(answer.message)
        self._health.say(answer.message)
        return answer

    def _save_scene(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            serving = self._active().serving
            scene = serving.corrections.save_scene(serving.shown.newest())
            answer.success, answer.message = True, f"saved as {scene.path}"
        except InputError as error:
            answer.message = str(error)
        return answer

    def _active(self) -> Desk:
        desk = self._desk()
        if desk is None:
            raise InputError("the node is not active: activate it, and clouds get labels to click")
        return desk

    def _show(self, desk: Desk, shown: Shown | None) -> None:
        """Publish a cloud again as it is labelled now, and what the ids mean now."""
        serving, bank = desk.serving, desk.serving.corrections.bank
        desk.outputs.publish_label_info(serving.perception.info, bank.classes)
        if shown is not None:
            labelled = serving.perception.label(shown.seen, bank, shown.pose)
            labelled = desk.identity.again(shown.cloud, labelled, shown.labelled, shown.pose)
            lifetime = self._value("marker_lifetime")
            desk.outputs.publish(shown.header, shown.cloud, labelled, bank.classes, lifetime)
            serving.shown.relabel(shown, labelled)

    def _delay(self) -> int:
        return round(float(self._value("display_delay")) * 1e9)

    def _value(self, name: str) -> Any:
        return self._node.get_parameter(name).value


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _rounded(position: Any) -> list[float]:
    return [round(value, 3) for value in position]
