"""The networks that help a person: those of the site's bundle, or the ones that are shipped."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.bundle import INFO_FILE, shipped_bundle
from otoc_ros.site.site import Site

COARSEST = 2.0  # a network of voxels this much larger than the site's sees nothing of its things


class Helper:
    """Loads the networks once they are needed; safe to use from several threads.

    Args:
        site: whose bundle is taken where it has one.
    """

    def __init__(self, site: Site) -> None:
        self._own = site.path / "bundle"
        self._lock = threading.Lock()
        self._loaded: tuple[Path, int] | None = None
        self._perception: Any = None
        self.name = "geometry and colour"

    def features(
        self, cloud: Cloud, up: NDArray[np.float64], voxel_size: float
    ) -> NDArray[np.float32] | None:
        """What the networks see at each point: float32 [N, D]; None: they cannot help here.

        They cannot where none are installed, or where theirs are voxels of another scale.
        """
        with self._lock:
            perception = self._load()
            if perception is None or perception.preprocessing.voxel_size > COARSEST * voxel_size:
                self.name = "geometry and colour"
                return None
            self.name = f"networks of {perception.info.name}"
            seen: NDArray[np.float32] = perception.features(cloud, up)
            return seen

    def _load(self) -> Any:
        try:
            from otoc_ros.perception import Perception
        except ImportError:  # the page works without onnxruntime
            return None
        try:
            path = self._own if (self._own / INFO_FILE).exists() else shipped_bundle()
            version = path, (path / INFO_FILE).stat().st_mtime_ns
            if self._loaded != version:
                self._perception, self._loaded = None, version
                self._perception = Perception(path, threads=1)
        except (InputError, OSError):
            return None
        return self._perception
