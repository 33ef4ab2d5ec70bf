"""Random PointCloud2 messages: what broken drivers and bridges send, from one seed."""

from __future__ import annotations

import numpy as np
from live import as_message
from sensor_msgs.msg import PointCloud2, PointField

from otoc_ros.core.cloud import Cloud

ODD_NUMBERS = (0, 1, 2, 3, 4, 7, 16, 40, 255, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
ODD_VALUES = (np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-40, 3.4e38)
NAMES = ("x", "y", "z", "rgb", "rgba", "r", "g", "b", "intensity", "", "Ω", "x" * 300)


def random_message(rng: np.random.Generator) -> PointCloud2:
    """A small cloud, sometimes sound, mostly with up to four things wrong at once."""
    count = int(rng.integers(1, 300))
    xyz = rng.normal(scale=10.0 ** rng.integers(-3, 38), size=(count, 3))
    xyz[rng.random((count, 3)) < rng.choice([0, 0.1, 1])] = rng.choice(ODD_VALUES)
    with np.errstate(over="ignore"):
        message = as_message(Cloud(xyz.astype(np.float32), np.zeros((count, 3))))
    for _ in range(rng.integers(0, 5)):
        rng.choice(FAULTS)(message, rng)
    return message


def _size(message: PointCloud2, rng: np.random.Generator) -> None:
    name = str(rng.choice(["width", "height", "point_step", "row_step"]))
    setattr(message, name, int(rng.choice(ODD_NUMBERS)))


def _shape(message: PointCloud2, rng: np.random.Generator) -> None:
    message.height, message.width = message.width, message.height
    message.row_step = message.width * message.point_step + int(rng.integers(0, 2)) * 8


def _field(message: PointCloud2, rng: np.random.Generator) -> None:
    if not message.fields:
        return
    field = message.fields[int(rng.integers(len(message.fields)))]
    name = str(rng.choice(["offset", "datatype", "count", "name"]))
    if name == "name":
        field.name = str(rng.choice(NAMES))
    elif name == "datatype":
        field.datatype = int(rng.integers(0, 10))
    else:
        setattr(field, name, int(rng.choice(ODD_NUMBERS)))


def _fields(message: PointCloud2, rng: np.random.Generator) -> None:
    fields = list(message.fields)
    what = rng.integers(4)
    if what == 0 and fields:
        fields.append(fields[int(rng.integers(len(fields)))])
    elif what == 1 and fields:
        fields.pop(int(rng.integers(len(fields))))
    elif what == 2:
        rng.shuffle(fields)
    else:
        kind = int(rng.integers(1, 9))
        fields.append(PointField(name=str(rng.choice(NAMES)), offset=0, datatype=kind, count=1))
    message.fields = fields


def _doubles(message: PointCloud2, rng: np.random.Generator) -> None:
    """The same bytes declared as FLOAT64 coordinates."""
    for field, offset in zip(message.fields[:3], (0, 8, 16), strict=False):
        field.datatype, field.offset = PointField.FLOAT64, offset


def _bytes(message: PointCloud2, rng: np.random.Generator) -> None:
    data = np.frombuffer(bytes(message.data), np.uint8)
    if rng.random() < 0.5 or not len(data):
        message.data = data[: int(rng.integers(0, len(data) + 1))].tobytes()
    else:
        message.data = rng.integers(0, 256, len(data), np.uint8).tobytes()


def _order(message: PointCloud2, rng: np.random.Generator) -> None:
    message.is_bigendian = not message.is_bigendian


def _header(message: PointCloud2, rng: np.random.Generator) -> None:
    message.header.stamp.sec = int(rng.choice([0, -(2**31), 2**31 - 1]))
    message.header.frame_id = str(rng.choice(["", "camera", "/", "f" * 1000]))


FAULTS = (_size, _shape, _field, _field, _fields, _doubles, _bytes, _order, _header)
