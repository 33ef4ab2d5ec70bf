"""What lights up: the labelled points, drawn over the scan, so that a click need not recolour it.

The browser gets a recoloured cloud whole, and makes its shader anew; here it gets what has changed.
"""

from __future__ import annotations

import numpy as np
import viser
from numpy.typing import NDArray

from otoc_ros.annotate.dots import add_dots

SWELL = 1.1  # size of a point that lights up beside the same one of the scan, which it hides

Part = tuple[NDArray[np.float32], NDArray[np.uint8]]  # xyz [K, 3] and rgb [K, 3] of some points


class Glow:
    """The points that light up in one window."""

    def __init__(self, client: viser.ClientHandle) -> None:
        self._client = client
        self._nodes: dict[str, viser.PointCloudHandle] = {}
        self._sent: dict[str, bytes] = {}

    def draw(self, parts: dict[str, Part], size: float, *, over_new_scan: bool = False) -> None:
        """Send the parts that have changed since the last call, and take away those that are gone.

        Args:
            parts: points by a name that is good for a scene node. size: of the scan's points,
                metres. over_new_scan: whether points or colours of the scan were sent just before.
        """
        if over_new_scan:
            # Of two points at one place the browser shows the one that was sent last.
            self._sent.clear()
        for name in self._nodes.keys() - parts.keys():
            self._nodes.pop(name).remove()
            self._sent.pop(name, None)
        for name, (xyz, rgb) in parts.items():
            now = xyz.tobytes() + rgb.tobytes()
            if self._sent.get(name) == now:
                self._nodes[name].point_size = SWELL * size
                continue
            self._sent[name] = now
            self._nodes[name] = add_dots(self._client, f"/lit/{name}", xyz, rgb, SWELL * size)
