from dataclasses import replace

import numpy as np
import pytest

from otoc_ros.core.boxes import upright_box
from otoc_ros.core.cloud import Cloud
from otoc_ros.perception import DetectedObject, LabelledCloud
from otoc_ros.perception.identity import MOST_POINTS, IdentitySettings, SteadyIdentity

CUP, BOX = 0, 1


def cube(corner, edge=0.2):
    side = np.arange(0, edge, 0.02)
    grid = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    return (grid + np.array(corner)).astype(np.float32)


def seen(*objects):
    """A cloud and its labels; objects: (points, class), numbered in this order."""
    xyz = np.concatenate([points for points, _ in objects] + [np.zeros((1, 3), np.float32)])
    sizes = [len(points) for points, _ in objects] + [1]
    instance = np.repeat([*range(1, len(objects) + 1), 0], sizes).astype(np.int32)
    found = [
        DetectedObject(
            row, class_id, 0.9, upright_box(points), points.min(axis=0), points.max(axis=0)
        )
        for row, (points, class_id) in enumerate(objects, start=1)
    ]
    zero = np.zeros(len(xyz), np.int32)
    return Cloud(xyz), LabelledCloud(
        zero, instance, zero.astype(np.float32), zero, zero.astype(np.float32), found, {}
    )


def follow(identity, *clouds, step=0.2, start=0.0):
    """Ids of the objects of each cloud, in the order they were given."""
    ids = []
    for number, objects in enumerate(clouds):
        cloud, labelled = seen(*objects)
        renamed = identity(cloud, labelled, start + step * number)
        ids.append([each.id for each in renamed.objects])
        for each, before in zip(renamed.objects, labelled.objects, strict=True):
            assert (renamed.instance[labelled.instance == before.id] == each.id).all()
        assert (renamed.instance[labelled.instance == 0] == 0).all()
    return ids


def test_objects_keep_their_ids_when_their_order_changes():
    one, two = (cube((0, 0, 0)), CUP), (cube((1, 0, 0)), CUP)
    first, second = follow(SteadyIdentity(), [one, two], [two, one])
    assert first == second[::-1]


def test_a_view_of_a_part_is_the_same_object_and_a_fragment_does_not_take_its_id():
    whole = cube((0, 0, 0))
    left, right = whole[whole[:, 0] < 0.1], whole[whole[:, 0] >= 0.1]
    identity = SteadyIdentity()
    ids = follow(identity, [(whole, CUP)], [(left, CUP)], [(right, CUP)], [(whole, CUP)])
    assert ids == [[1]] * 4
    large, speck = whole[whole[:, 2] < 0.15], whole[whole[:, 2] >= 0.15]
    assert follow(identity, [(speck, CUP), (large, CUP)], start=1.0)[0][1] == 1


def test_an_object_seen_from_behind_is_the_same_though_no_surface_is_seen_again():
    whole = cube((0, 0, 0), edge=0.3)
    front = whole[(whole[:, 0] < 0.01) | (whole[:, 2] < 0.05)]
    back = whole[(whole[:, 0] > 0.25) & (whole[:, 2] > 0.12)]
    assert follow(SteadyIdentity(), [(front, CUP)], [], [(back, CUP)]) == [[1], [], [1]]
    beside = back + np.float32([0.2, 0, 0])
    assert follow(SteadyIdentity(), [(front, CUP)], [], [(beside, CUP)]) == [[1], [], [2]]


def test_a_small_object_that_is_carried_along_keeps_its_id():
    way = [[(cube((0.06 * k, 0, 0), edge=0.05), CUP)] for k in range(6)]
    assert follow(SteadyIdentity(), *way) == [[1]] * 6
    strict = SteadyIdentity(IdentitySettings(reach=0))
    assert follow(strict, *way)[-1] != [1]


def test_a_speck_beside_a_large_object_is_followed():
    """A large cloud is thinned before it is compared; of the speck a point is left."""
    side = np.arange(0, 3, 0.01)
    wall = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    wall = np.column_stack([wall, np.zeros(len(wall))]).astype(np.float32)
    speck = np.array([[5, 5, 5], [5.01, 5, 5]], np.float32)
    assert len(wall) > MOST_POINTS
    for before in range(4):  # wherever the thinning falls
        large = (wall[before:], BOX)
        ids = follow(SteadyIdentity(), [large, (speck, CUP)], [large, (speck, CUP)])
        assert ids == [[1, 2]] * 2


def test_an_object_that_comes_back_is_known_and_its_id_was_not_given_away():
    identity = SteadyIdentity()
    here, there = (cube((0, 0, 0)), CUP), (cube((2, 0, 0)), CUP)
    assert follow(identity, [here], [], []) == [[1], [], []]
    assert follow(identity, [there], [here, there], start=30.0) == [[2], [1, 2]]
    # After more than the memory it is another object, and still no id is used again.
    assert follow(identity, [here], start=120.0) == [[3]]


def test_of_two_objects_at_one_place_the_class_decides():
    identity = SteadyIdentity()
    follow(identity, [(cube((0, 0, 0)), CUP), (cube((0.1, 0, 0)), BOX)])
    ids = follow(identity, [(cube((0.1, 0, 0)), CUP), (cube((0, 0, 0)), BOX)], start=0.2)
    assert ids in ([[1, 2]], [[2, 1]])
    near = (cube((0.05, 0, 0)), BOX)
    assert follow(identity, [near], start=0.4) == [[2]]


def test_poses_let_a_moving_camera_know_what_stands_still():
    identity = SteadyIdentity()
    world = cube((2, 0, 0))
    for number, turn in enumerate(np.linspace(0, 2, 9)):
        pose = np.eye(4)
        pose[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        pose[:3, 3] = (number, 0, 0)
        seen_from_there = ((world - pose[:3, 3]) @ pose[:3, :3]).astype(np.float32)
        cloud, labelled = seen((seen_from_there, CUP))
        renamed = identity(cloud, labelled, 0.5 * number, pose)
        assert [each.id for each in renamed.objects] == [1]


def test_a_bag_that_starts_again_begins_anew_without_using_ids_again():
    identity = SteadyIdentity()
    here = [(cube((0, 0, 0)), CUP)]
    assert follow(identity, here, start=10.0) == [[1]]
    assert follow(identity, here, start=0.0) == [[2]]


@pytest.mark.parametrize("count", [0, 1])
def test_empty_clouds(count):
    cloud, labelled = seen(*[(cube((0, 0, 0)), CUP)] * count)
    assert len(SteadyIdentity()(cloud, labelled, 0.0).objects) == count


def test_a_cloud_shown_again_has_its_ids_and_moves_no_track():
    identity = SteadyIdentity()
    one, two, new = cube((0, 0, 0)), cube((1, 0, 0)), cube((2, 0, 0))
    cloud, labelled = seen((one, CUP), (two, CUP), (new, CUP))
    nothing = labelled.instance * (labelled.instance < 3)
    first = replace(labelled, instance=nothing, objects=labelled.objects[:2])
    shown = identity(cloud, first, 0.0)
    follow(identity, [(one, CUP), (two, CUP)], start=5.0)
    # A click has changed classes, the order of the objects, and found a third one.
    order = np.array([0, 2, 1, 3], np.int32)
    objects = [replace(each, id=int(order[each.id]), class_id=BOX) for each in labelled.objects]
    clicked = replace(
        labelled, instance=order[labelled.instance], objects=sorted(objects, key=lambda o: o.id)
    )
    again = identity.again(cloud, clicked, shown)
    assert [each.id for each in again.objects] == [2, 1, 3]
    assert (again.instance == labelled.instance).all()
    # Once more the same, and the next clouds know the third object.
    assert [o.id for o in identity.again(cloud, clicked, again).objects] == [2, 1, 3]
    assert follow(identity, [(new, BOX), (two, BOX), (one, CUP)], start=5.2) == [[3, 2, 1]]


def test_a_cloud_that_comes_late_changes_no_ids_and_other_classes_do_not_matter():
    identity = SteadyIdentity()
    here = [(cube((0, 0, 0)), 70)]  # a class that was added while driving
    assert follow(identity, here, start=10.0) == [[1]]
    assert follow(identity, here, start=9.5) == [[1]]
    identity.forget()
    assert follow(identity, here, start=9.0) == [[2]]
