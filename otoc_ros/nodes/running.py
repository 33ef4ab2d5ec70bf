"""Running a node as a process that only a signal ends, and that then ends well."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

EXIT_PATIENCE = 0.8  # seconds that work under way gets to finish when the process shall end


def spin(node: Node, executor: MultiThreadedExecutor) -> None:
    """Serve until the context ends; a callback that raises costs one answer, not the process."""
    while rclpy.ok():
        try:
            executor.spin_once()
        except (KeyboardInterrupt, ExternalShutdownException):
            return
        except Exception as error:  # rclpy raises for a transition that the state does not have
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            node.get_logger().error(f"a request failed: {reason}")


def leave(node: Node, executor: MultiThreadedExecutor, *, idle: bool) -> None:
    """Take the process down with status 0.

    Args:
        idle: False when a thread of the node is still at work.
    """
    if not idle:
        # An interpreter that ends under a running native library may crash: leave it at once.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    executor.shutdown(timeout_sec=EXIT_PATIENCE)
    node.destroy_node()
    rclpy.try_shutdown()
