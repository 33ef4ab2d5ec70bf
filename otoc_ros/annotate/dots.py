"""Points as every part of the page draws them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import viser
from numpy.typing import NDArray


def add_dots(
    client: viser.ClientHandle,
    name: str,
    xyz: NDArray[Any],
    rgb: NDArray[np.uint8],
    size: float,
    shading: Literal["flat", "gradient"] = "flat",
) -> viser.PointCloudHandle:
    """Show points under the name of a scene node; a node of that name is replaced.

    For one point alone the browser would build a shader of its own, so it gets that one twice.

    Args:
        xyz: float [K, 3]. rgb: uint8 [K, 3]. size: of a point, metres.
    """
    if len(xyz) == 1:
        xyz, rgb = np.repeat(xyz, 2, axis=0), np.repeat(rgb, 2, axis=0)
    return client.scene.add_point_cloud(
        name,
        xyz,
        rgb,
        point_size=size,
        point_shape="circle",
        point_shading=shading,
        precision="float32",
    )
