"""ONNX files as functions from arrays to arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from otoc_ros.core import native
from otoc_ros.core.errors import InputError
from otoc_ros.core.native_network import METADATA_KEY, NativeNetwork
from otoc_ros.core.onnx_file import read_onnx
from otoc_ros.core.pairs import sparse_pairs
from otoc_ros.core.sparse_feeds import sparse_feeds
from otoc_ros.site.bundle import Bundle

CPU = "CPUExecutionProvider"

Answer = dict[str, NDArray[np.float32]]


class Network:
    """One ONNX file of a bundle, checked against bundle.yaml and ready to run.

    Sparse networks that onnxruntime would run on the CPU are run by the C++ kernel where that was
    built: the same weights, results equal within rounding, in about half the time.

    Args:
        bundle: where the file lies.
        name: file name.
        providers: onnxruntime's execution providers, the preferred one first.
        threads: cores that one call may use.
        prefer_native: False for onnxruntime alone.

    Attributes:
        metadata: of the file.
        runner: what computes, for people.
        maps: makes the kernel maps that belong to the feeds, from voxel coordinates and levels;
            None where the network needs none.

    Raises:
        InputError: the file is not of this bundle, or no model; a provider that is not installed.
    """

    metadata: dict[str, str]
    maps: Callable[[NDArray[Any], int], Mapping[str, Any]] | None

    def __init__(
        self,
        bundle: Bundle,
        name: str,
        providers: Sequence[str],
        threads: int,
        prefer_native: bool = True,
    ) -> None:
        missing = sorted(set(providers) - set(onnxruntime.get_available_providers()))
        if missing:
            raise InputError(
                f"onnxruntime has no {', '.join(missing)}; it has "
                f"{', '.join(onnxruntime.get_available_providers())}"
            )
        data = bundle.read(name)
        on_cpu = prefer_native and next(iter(providers), CPU) == CPU
        if not (on_cpu and self._load_native(data, threads)):
            self._load_session(data, bundle.path / name, providers, threads)
        bundle.check_metadata(name, self.metadata)

    def __call__(self, feeds: Mapping[str, Any]) -> Answer:
        """Outputs by name; feeds that the network does not take are passed over."""
        return self._run(feeds)

    def _load_native(self, data: bytes, threads: int) -> bool:
        kernel = native.library()
        if kernel is None:
            return False
        try:
            file = read_onnx(data)
            if METADATA_KEY not in file.metadata:
                return False
            self._run: Callable[[Mapping[str, Any]], Answer] = NativeNetwork(file, threads)
        except ValueError:  # whatever is wrong with it, onnxruntime will tell
            return False
        self.metadata = file.metadata
        self.runner = f"native {native.INSTRUCTION_SETS[kernel.otoc_instruction_set()]}"
        self.maps = sparse_pairs
        return True

    def _load_session(
        self, data: bytes, path: Path, providers: Sequence[str], threads: int
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores from the other nodes of the robot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(data, options, providers=list(providers))
        except Exception as error:  # onnxruntime has an error type for every way to fail
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{path} is no usable ONNX model ({reason}); export the bundle again"
            ) from error
        inputs = {given.name for given in session.get_inputs()}
        outputs = [wanted.name for wanted in session.get_outputs()]

        def run(feeds: Mapping[str, Any]) -> Answer:
            used = {name: values for name, values in feeds.items() if name in inputs}
            return dict(zip(outputs, session.run(None, used), strict=True))

        self._run = run
        self.metadata = session.get_modelmeta().custom_metadata_map
        self.runner = f"onnxruntime {session.get_providers()[0]}"
        self.maps = sparse_feeds if "place" in inputs else None
