"""Reading and writing the bytes of sensor_msgs/PointCloud2, without ROS.

Works on any object with the message's members (`fields`, `data`, `width`, `height`, `point_step`,
`row_step`, `is_bigendian`): rclpy's messages, those of rosbags, or a plain class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.compiled import compiled
from otoc_ros.core.errors import InputError

UNKNOWN_CLASS = 65535  # how -1 travels in the unsigned field `class_id`

# sensor_msgs/PointField: INT8 = 1 … FLOAT64 = 8
_FORMATS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_DATATYPES = {np.dtype(text): number for number, text in _FORMATS.items()}

COLOUR_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
LABEL_POINT = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("rgb", "<u4"),
        ("class_id", "<u2"),
        ("instance", "<u4"),
        ("confidence", "<f4"),
    ],
    align=True,
)


class PointCloud2Like(Protocol):
    """The members of sensor_msgs/PointCloud2 that describe points."""

    fields: Any
    data: Any
    width: int
    height: int
    point_step: int
    row_step: int
    is_bigendian: bool


class Field(NamedTuple):
    """One sensor_msgs/PointField of count 1: where a value lies in a point, how it is stored."""

    name: str
    offset: int
    datatype: int


def decode_pointcloud2(message: PointCloud2Like) -> Cloud:
    """The points of a message, row by row: N = width * height, missing returns (NaN) included.

    Coordinates may be FLOAT32 or FLOAT64 (kept as float32). Colour is taken from `rgb` or `rgba`
    (packed 0xAARRGGBB in a FLOAT32, UINT32 or INT32) or from UINT8 fields `r`, `g`, `b`; a message
    without them gives a cloud without colour. Other fields are ignored.

    Raises:
        InputError: no x, y, z; a field that is declared twice, lies outside the point or has an
            unusable type; fewer bytes than the declared size needs.
    """
    if message.width == 0 or message.height == 0:
        return Cloud(np.empty((0, 3), np.float32))
    points = read_fields(message, ("x", "y", "z"))
    xyz = np.empty((points.size, 3), np.float32)
    with np.errstate(over="ignore"):  # FLOAT64 beyond float32 becomes infinite: not a point
        for column, name in enumerate("xyz"):
            if points[name].dtype.kind != "f":
                raise InputError(
                    f"field {name} is stored as {points[name].dtype.name}; "
                    "publish x, y, z as FLOAT32 or FLOAT64"
                )
            xyz[:, column].reshape(points.shape)[...] = points[name]
    return Cloud(xyz, _colour(message))


def read_fields(message: PointCloud2Like, names: Sequence[str]) -> NDArray[Any]:
    """Some fields of a message as a structured array [height, width] that shares its memory.

    Args:
        message: of at least one point.

    Raises:
        InputError: as `decode_pointcloud2`.
    """
    chosen = [_field(message, name) for name in names]
    width, height, step = message.width, message.height, message.point_step
    row = message.row_step if height > 1 else width * step  # one row needs no step to the next
    if row < width * step:
        raise InputError(
            f"row_step is {row} but {width} points of {step} bytes need {width * step}; "
            "set row_step to at least width * point_step"
        )
    data = np.frombuffer(message.data, np.uint8)
    needed = (height - 1) * row + width * step
    if len(data) < needed:
        raise InputError(
            f"the message holds {len(data)} bytes but {width} x {height} points of {step} bytes "
            f"need {needed}; check width, height and point_step in its publisher"
        )
    order = ">" if message.is_bigendian else "<"
    layout = np.dtype(
        {
            "names": list(names),
            "formats": [order + _FORMATS[field.datatype] for field in chosen],
            "offsets": [field.offset for field in chosen],
            "itemsize": step,
        }
    )
    return np.ndarray((height, width), layout, data, strides=(row, step))


def encode_labels(
    xyz: NDArray[np.float32],
    colours: NDArray[np.uint8],
    class_id: NDArray[np.int32],
    instance: NDArray[np.int32],
    confidence: NDArray[np.float32],
    points: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Labelled points as they travel: LABEL_POINT [N], 28 bytes each.

    Args:
        xyz: float32 [N, 3] metres.
        colours: uint8 [C + 1, 3], the colour of each class, of unknown points last.
        class_id: int32 [N], -1 = unknown. instance: int32 [N], 0 = none. confidence: [N] in 0..1.
        points: where to write them; a new array if left out.
    """
    points = np.empty(len(xyz), LABEL_POINT) if points is None else points
    words = points.view(np.uint32).reshape(len(points), -1)
    packed = _packed(colours)
    _fill_labels(words, xyz.view(np.uint32), packed, class_id, instance, confidence.view(np.uint32))
    return points


def encode_colours(
    xyz: NDArray[np.float32], rgb: NDArray[np.uint8], points: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Coloured points as they travel: COLOUR_POINT [N], 16 bytes each, from [N, 3] arrays.

    Args:
        points: where to write them; a new array if left out.
    """
    points = np.empty(len(xyz), COLOUR_POINT) if points is None else points
    for column, name in enumerate("xyz"):
        points[name] = xyz[:, column]
    points["rgb"] = _packed(rgb)
    return points


def warm_up() -> None:
    """Compile what reads and writes messages, before the first live cloud waits for it."""
    rows = np.zeros(1, np.int32)
    xyz, rgb = np.zeros((1, 3), np.float32), np.zeros((1, 3), np.uint8)
    encode_labels(xyz, rgb, rows - 1, rows, np.zeros(1, np.float32))
    _unpack(_packed(rgb), rgb)


def fields_of(layout: np.dtype[Any]) -> tuple[Field, ...]:
    """What a message declares for points of a structured dtype; `rgb` is FLOAT32 by convention."""
    found = []
    for name, (dtype, offset, *_) in (layout.fields or {}).items():
        datatype = 7 if name == "rgb" else _DATATYPES[dtype]
        found.append(Field(name, offset, datatype))
    return tuple(found)


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    red, green, blue = rgb.astype(np.uint32).T
    packed: NDArray[np.uint32] = red << 16 | green << 8 | blue
    return packed


@compiled
def _fill_labels(words, xyz, packed, class_id, instance, confidence):  # type: ignore[no-untyped-def]
    """Write LABEL_POINTs as uint32 [N, 7]: one pass over the points instead of one a field.

    Little-endian, as the points are and as every machine is that runs ROS 2.
    """
    for i in range(len(words)):
        for axis in range(3):
            words[i, axis] = xyz[i, axis]
        known = class_id[i]
        words[i, 3] = packed[known]  # -1 is the last
        words[i, 4] = known if known >= 0 else UNKNOWN_CLASS  # and two bytes of nothing
        words[i, 5] = instance[i]
        words[i, 6] = confidence[i]


def _field(message: PointCloud2Like, name: str) -> Field:
    found = [field for field in message.fields if field.name == name]
    if len(found) != 1:
        declared = ", ".join(str(field.name) for field in message.fields[:12]) or "none"
        problem = "is missing" if not found else f"is declared {len(found)} times"
        raise InputError(f"field {name} {problem} (declared: {declared}); publish x, y and z once")
    field = found[0]
    if field.datatype not in _FORMATS:
        raise InputError(f"field {name} has datatype {field.datatype}; PointField knows 1 to 8")
    end = field.offset + np.dtype(_FORMATS[field.datatype]).itemsize
    if end > message.point_step:
        raise InputError(
            f"field {name} ends at byte {end} of a point of {message.point_step} bytes; "
            "correct its offset or point_step in the publisher"
        )
    return Field(name, field.offset, field.datatype)


def _colour(message: PointCloud2Like) -> NDArray[np.uint8] | None:
    names = {field.name for field in message.fields}
    for packed in ("rgb", "rgba"):
        if packed in names:
            return _packed_colour(message, packed)
    if not {"r", "g", "b"} <= names:
        return None
    channels = read_fields(message, ("r", "g", "b"))
    if any(channels[name].dtype != np.uint8 for name in "rgb"):
        raise InputError("fields r, g, b are not all UINT8; publish bytes or a packed field rgb")
    return np.stack([channels[name].reshape(-1) for name in "rgb"], axis=1)


def _packed_colour(message: PointCloud2Like, name: str) -> NDArray[np.uint8]:
    stored = read_fields(message, (name,))
    if stored[name].dtype.newbyteorder("=") not in (np.float32, np.uint32, np.int32):
        raise InputError(
            f"field {name} is stored as {stored[name].dtype.name}; "
            "pack it into FLOAT32 or UINT32, or publish bytes r, g, b"
        )
    # Never read as a float: many colours are signalling NaNs, which a conversion would change.
    bits = stored[name].view(stored[name].dtype.str[0] + "u4").astype("<u4").reshape(-1)
    rgb = np.empty((len(bits), 3), np.uint8)
    _unpack(bits, rgb)
    return rgb


@compiled
def _unpack(bits, rgb):  # type: ignore[no-untyped-def]
    for i in range(len(bits)):
        rgb[i, 0] = (bits[i] >> 16) & 255
        rgb[i, 1] = (bits[i] >> 8) & 255
        rgb[i, 2] = bits[i] & 255
