"""What an ONNX file holds beside its graph, read without the onnx package (which robots lack).

ONNX files are Protocol Buffers: fields of a number, a wire type and a value, nested. Only what the
project's own exporter writes is understood: initialisers with raw data, and metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_INITIALIZER = 5
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_DTYPES = {1: np.float32, 3: np.int8, 7: np.int64, 10: np.float16}

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """Metadata by key, and the tensors stored in the file by name, views of its bytes."""

    metadata: dict[str, str]
    tensors: dict[str, NDArray[Any]]


def read_onnx(data: bytes) -> OnnxFile:
    """Read a whole file.

    Raises:
        ValueError: the bytes are no ONNX file, or one with tensors in a form that the project does
            not write.
    """
    metadata: dict[str, str] = {}
    tensors: dict[str, NDArray[Any]] = {}
    try:
        for number, value in _fields(memoryview(data)):
            if number == _MODEL_METADATA:
                entry = dict(_fields(value))
                metadata[_text(entry[_ENTRY_KEY])] = _text(entry.get(_ENTRY_VALUE, memoryview(b"")))
            elif number == _MODEL_GRAPH:
                for inner, tensor in _fields(value):
                    if inner == _GRAPH_INITIALIZER:
                        name, array = _tensor(tensor)
                        tensors[name] = array
    except (KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"no ONNX file of this project ({error!r})") from error
    return OnnxFile(metadata, tensors)


def _tensor(message: memoryview) -> tuple[str, NDArray[Any]]:
    shape: list[int] = []
    rest: dict[int, Any] = {}
    for number, value in _fields(message):
        if number != _TENSOR_DIMS:
            rest[number] = value
        elif isinstance(value, int):
            shape.append(value)
        else:  # several in one field
            at = 0
            while at < len(value):
                size, at = _varint(value, at)
                shape.append(size)
    dtype = _DTYPES[rest[_TENSOR_TYPE]]
    array = np.frombuffer(rest.get(_TENSOR_RAW, b""), np.dtype(dtype).newbyteorder("<"))
    return _text(rest[_TENSOR_NAME]), array.reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Numbers and values: int, or the bytes of a text, an array or a nested message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"no ONNX file: wire type {kind}")
        if at + size > len(message):
            raise ValueError("the ONNX file is cut short")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _text(value: memoryview) -> str:
    return bytes(value).decode()
