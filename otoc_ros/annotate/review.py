"""What the machine has labelled, for a person to look over: of any round, and the truth."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoc_ros.annotate.record import SiteRecord
from otoc_ros.annotate.segments import Segments
from otoc_ros.core.errors import InputError

PSEUDO = 2  # provenance of a pseudo label in a round's labels.npz

I32 = NDArray[np.int32]


class Review:
    """Reads what is on disk, and again where it has changed."""

    def __init__(self, record: SiteRecord) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._truth: dict[str, I32 | None] = {}
        self._labels: tuple[object, dict[str, NDArray]] | None = None  # type: ignore[type-arg]

    def pseudo(
        self, name: str, segments: Segments, number: str | None = None
    ) -> tuple[I32, NDArray[np.float32]] | None:
        """Class int32 [M], -1 = none, and confidence [M] of a round's pseudo labels.

        Args:
            number: name of the round's folder; None: the last one.

        Returns:
            None where the round is not complete, or knew the scene otherwise.
        """
        with self._lock:
            arrays = self._labels_of(number or "[0-9][0-9]")
        label = arrays.get(f"{name}/label")
        if label is None or len(label) != segments.count:
            return None
        is_pseudo = arrays[f"{name}/provenance"] == PSEUDO
        confidence = arrays[f"{name}/confidence"].astype(np.float32)
        return np.where(is_pseudo, label, -1).astype(np.int32), confidence

    def truth(self, name: str) -> I32 | None:
        """Class int32 [N] of a scene's finite points, -1 = unknown; None: it has no truth.

        Raises:
            InputError: it is damaged.
        """
        with self._lock:
            if name not in self._truth:
                scene = self._record.scenes[name]
                truth = scene.truth()
                if truth is not None:
                    finite = np.isfinite(scene.cloud().xyz).all(axis=1)
                    self._truth[name] = truth.semantic[finite]
                else:
                    self._truth[name] = None
            return self._truth[name]

    def doubtful(
        self, name: str, segments: Segments, number: str | None = None
    ) -> NDArray[np.int64]:
        """Super-voxels with a pseudo label of a round (see `pseudo`), the least sure one first.

        Raises:
            InputError: there are none.
        """
        found = self.pseudo(name, segments, number)
        rows = np.zeros(0, np.int64) if found is None else np.flatnonzero(found[0] >= 0)
        if found is None or not len(rows):
            raise InputError("this scene has no pseudo labels; train first")
        order: NDArray[np.int64] = rows[np.argsort(found[1][rows], kind="stable")]
        return order

    def errors(self, name: str, segments: Segments, told: I32) -> NDArray[np.int64]:
        """Super-voxels whose class is not the true one, the one with most wrong points first.

        Args:
            told: int32 [M], the class that is to be checked, -1 = none.

        Raises:
            InputError: the scene has no truth, or nothing is wrong.
        """
        truth = self.truth(name)
        if truth is None:
            raise InputError("this scene has no ground truth to compare with")
        claimed = told[segments.of_point]
        wrong = (truth >= 0) & (claimed >= 0) & (claimed != truth)
        points = np.bincount(segments.of_point[wrong], minlength=segments.count)
        rows: NDArray[np.int64] = np.argsort(-points, kind="stable")[: np.count_nonzero(points)]
        if not len(rows):
            raise InputError("nothing here differs from the ground truth")
        return rows

    def _labels_of(self, pattern: str) -> dict[str, NDArray]:  # type: ignore[type-arg]
        rounds = sorted((self._record.site.path / "rounds").glob(f"{pattern}/labels.npz"))
        complete = [path for path in rounds if (path.parent / "metrics.json").exists()]
        if not complete:
            return {}
        path: Path = complete[-1]
        version = path, path.stat().st_mtime_ns
        if self._labels is None or self._labels[0] != version:
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    self._labels = version, {name: arrays[name] for name in arrays.files}
            except Exception as error:  # a damaged archive fails in zipfile, zlib and NumPy alike
                raise InputError(f"cannot read {path}; train again") from error
        return self._labels[1]
