"""Every layout a publisher may choose decodes to the same cloud; every broken one says why."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import (
    LABEL_POINT,
    Field,
    decode_pointcloud2,
    encode_colours,
    encode_labels,
    fields_of,
    read_fields,
)

NUMBERS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


def publish(
    points: dict[str, tuple[str, np.ndarray]],
    shape: tuple[int, int],
    *,
    big_endian: bool = False,
    gap: int = 0,
    row_padding: int = 0,
) -> Any:
    """A message as a driver writes it: fields one after another, gaps and row padding of 0xAA."""
    height, width = shape
    fields, offset = [], gap
    for name, (code, _) in points.items():
        fields.append(Field(name, offset, NUMBERS[code]))
        offset += np.dtype(code).itemsize + gap
    row = offset * width + row_padding
    data = np.full((height, row), 0xAA, np.uint8)
    order = ">" if big_endian else "<"
    for field, (code, values) in zip(fields, points.values(), strict=True):
        octets = values.reshape(shape).astype(order + code)[..., None].view(np.uint8)
        for byte in range(octets.shape[2]):
            data[:, field.offset + byte : offset * width : offset] = octets[..., byte]
    return SimpleNamespace(
        fields=fields,
        data=data.tobytes(),
        width=width,
        height=height,
        point_step=offset,
        row_step=row,
        is_bigendian=big_endian,
    )


@st.composite
def messages(draw: Any) -> Any:
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 7)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = shape[0] * shape[1]
    xyz = rng.normal(scale=10.0, size=(count, 3)).astype(np.float32)
    xyz[rng.random(count) < 0.2] = np.nan
    rgb = rng.integers(0, 256, (count, 3)).astype(np.uint8)
    packed = (rgb.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(1, dtype=np.uint32)
    packed |= np.uint32(draw(st.sampled_from([0, 0xFF000000, 0x7F000000])))
    coordinate = draw(st.sampled_from(["f4", "f8"]))
    columns = [(name, (coordinate, xyz[:, i])) for i, name in enumerate("xyz")]
    colour = draw(st.sampled_from(["none", "u4", "f4", "i4", "bytes"]))
    if colour == "bytes":
        columns += [(name, ("u1", rgb[:, i])) for i, name in enumerate("rgb")]
    elif colour != "none":
        columns.append((draw(st.sampled_from(["rgb", "rgba"])), (colour, packed.view(colour))))
    columns.append(("intensity", ("u2", np.arange(count))))
    message = publish(
        dict(draw(st.permutations(columns))),
        shape,
        big_endian=draw(st.booleans()),
        gap=draw(st.integers(0, 3)),
        row_padding=draw(st.integers(0, 9)),
    )
    return message, xyz, None if colour == "none" else rgb


@settings(deadline=None)  # the first example compiles
@given(messages())
def test_every_layout_gives_the_same_cloud(case: Any) -> None:
    message, xyz, rgb = case
    cloud = decode_pointcloud2(message)
    np.testing.assert_array_equal(cloud.xyz, xyz)
    if rgb is None:
        assert cloud.rgb is None
    else:
        np.testing.assert_array_equal(cloud.rgb, rgb)


@settings(max_examples=300, deadline=None)
@given(messages(), st.data())
def test_a_damaged_message_is_a_cloud_or_one_line(case: Any, data: Any) -> None:
    message = case[0]
    number = st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from(["field", "size", "data", "fields", "endian"]))
        if target == "field":
            row = data.draw(st.integers(0, len(message.fields) - 1))
            member = data.draw(st.sampled_from(["offset", "datatype"]))
            message.fields[row] = message.fields[row]._replace(**{member: data.draw(number)})
        elif target == "size":
            member = data.draw(st.sampled_from(["width", "height", "point_step", "row_step"]))
            setattr(message, member, data.draw(number))
        elif target == "data":
            message.data = message.data[: data.draw(st.integers(0, len(message.data)))]
        elif target == "fields":
            row = data.draw(st.integers(0, len(message.fields) - 1))
            name = data.draw(st.sampled_from(["x", "y", "z", "rgb", "r", "nonsense", ""]))
            message.fields[row] = message.fields[row]._replace(name=name)
        else:
            message.is_bigendian = not message.is_bigendian
    try:
        cloud = decode_pointcloud2(message)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
    else:
        assert len(cloud) == message.width * message.height


def good() -> Any:
    return publish({name: ("f4", np.arange(6.0)) for name in "xyz"}, (2, 3))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.fields.clear(), "field x is missing"),
        (lambda m: m.fields.append(Field("y", 4, 7)), "field y is declared 2 times"),
        (lambda m: m.fields.__setitem__(2, Field("z", 9, 7)), "ends at byte 13"),
        (lambda m: m.fields.__setitem__(0, Field("x", 0, 9)), "datatype 9"),
        (lambda m: m.fields.__setitem__(0, Field("x", 0, 5)), "stored as int32"),
        (lambda m: setattr(m, "point_step", 0), "ends at byte 4 of a point of 0 bytes"),
        (lambda m: setattr(m, "point_step", 2**32 - 1), "row_step is 36"),
        (lambda m: setattr(m, "row_step", 35), "row_step is 35"),
        (lambda m: setattr(m, "width", 2**32 - 1), "need"),
        (lambda m: setattr(m, "data", m.data[:-1]), "holds 71 bytes"),
        (lambda m: m.fields.append(Field("rgb", 9, 7)), "field rgb ends"),
        (lambda m: m.fields.append(Field("rgb", 0, 4)), "field rgb is stored as uint16"),
        (lambda m: m.fields.extend(Field(c, 0, 7) for c in "rgb"), "not all UINT8"),
    ],
)
def test_broken_messages_name_the_fault(change: Any, says: str) -> None:
    message = good()
    change(message)
    with pytest.raises(InputError, match=says):
        decode_pointcloud2(message)


def test_tolerated_oddities() -> None:
    single = publish({name: ("f4", np.arange(3.0)) for name in "xyz"}, (1, 3))
    single.row_step = 0  # drivers of unorganised clouds leave it out
    assert len(decode_pointcloud2(single)) == 3
    short = publish({name: ("f4", np.arange(6.0)) for name in "xyz"}, (2, 3), row_padding=8)
    short.data = short.data[:-8]  # the last row may end without its padding
    assert len(decode_pointcloud2(short)) == 6
    single.point_step = 2**32 - 1
    with pytest.raises(InputError, match="holds 36 bytes"):
        decode_pointcloud2(single)
    empty = good()
    empty.width = 0
    assert len(decode_pointcloud2(empty)) == 0
    huge = publish({name: ("f8", np.full(2, 1e300)) for name in "xyz"}, (1, 2))
    assert not np.isfinite(decode_pointcloud2(huge).xyz).any()


def test_labels_travel_and_come_back() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(5, 3)).astype(np.float32)
    colours = rng.integers(0, 256, (402, 3)).astype(np.uint8)
    class_id = np.array([-1, 0, 3, 12, 400], np.int32)
    rgb = colours[class_id]
    instance = np.array([0, 1, 2, 70000, 0], np.int32)
    confidence = rng.random(5).astype(np.float32)
    points = encode_labels(xyz, colours, class_id, instance, confidence)
    assert [(f.name, f.offset, f.datatype) for f in fields_of(LABEL_POINT)] == [
        ("x", 0, 7),
        ("y", 4, 7),
        ("z", 8, 7),
        ("rgb", 12, 7),
        ("class_id", 16, 4),
        ("instance", 20, 6),
        ("confidence", 24, 7),
    ]
    message = SimpleNamespace(
        fields=list(fields_of(points.dtype)),
        data=points.tobytes(),
        width=5,
        height=1,
        point_step=points.itemsize,
        row_step=5 * points.itemsize,
        is_bigendian=False,
    )
    cloud = decode_pointcloud2(message)
    np.testing.assert_array_equal(cloud.xyz, xyz)
    np.testing.assert_array_equal(cloud.rgb, rgb)
    back = read_fields(message, ("class_id", "instance", "confidence")).reshape(-1)
    assert back["class_id"].tolist() == [65535, 0, 3, 12, 400]
    np.testing.assert_array_equal(back["instance"], instance)
    np.testing.assert_array_equal(back["confidence"], confidence)
    assert encode_colours(xyz, rgb)["rgb"].tolist() == (rgb @ np.array([65536, 256, 1])).tolist()


def test_labels_agree_with_sensor_msgs_py() -> None:
    theirs = pytest.importorskip("sensor_msgs_py.point_cloud2", reason="comes with a ROS 2")
    from sensor_msgs.msg import PointField

    fields = [
        PointField(name=field.name, offset=field.offset, datatype=field.datatype, count=1)
        for field in fields_of(LABEL_POINT)
    ]
    expected = theirs.dtype_from_fields(fields, point_step=LABEL_POINT.itemsize)
    assert expected.itemsize == LABEL_POINT.itemsize
    for name in LABEL_POINT.names or ():
        assert expected.fields[name][1] == LABEL_POINT.fields[name][1]
