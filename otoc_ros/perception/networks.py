"""ONNX files as functions from arrays to arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from otoc_ros.core.errors import InputError
from otoc_ros.site.bundle import Bundle


class Network:
    """One ONNX file of a bundle, checked against bundle.yaml and ready to run.

    Args:
        bundle: where the file lies.
        name: file name.
        providers: onnxruntime's execution providers, the preferred one first.
        threads: cores that one call may use.

    Raises:
        InputError: the file is not of this bundle, or no model; a provider that is not installed.
    """

    def __init__(self, bundle: Bundle, name: str, providers: Sequence[str], threads: int) -> None:
        missing = sorted(set(providers) - set(onnxruntime.get_available_providers()))
        if missing:
            raise InputError(
                f"onnxruntime has no {', '.join(missing)}; it has "
                f"{', '.join(onnxruntime.get_available_providers())}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores from the other nodes of the robot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.read(name), options, providers=list(providers)
            )
        except InputError:
            raise
        except Exception as error:  # onnxruntime has an error type for every way to fail
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{bundle.path / name} is no usable ONNX model ({reason}); export the bundle again"
            ) from error
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        bundle.check_metadata(name, self.metadata)
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._outputs = [wanted.name for wanted in self._session.get_outputs()]

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; feeds that the network does not take are passed over."""
        used = {name: values for name, values in feeds.items() if name in self._inputs}
        return dict(zip(self._outputs, self._session.run(None, used), strict=True))
