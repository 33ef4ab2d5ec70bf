import numpy as np

from otoc_ros.core.colouring import DISTINCT, object_colours


def cube(x, edge=0.2):
    signs = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
    return signs * edge + np.array([x, 0.0, 0.0])


def same(one, other):
    return bool((one == other).all())


def test_touching_objects_never_share_a_colour_even_where_their_ids_would():
    ids = [1, 1 + len(DISTINCT), 1 + 2 * len(DISTINCT)]
    near = object_colours(ids, [cube(0), cube(0.2), cube(0.4)])
    assert not same(near[0], near[1])
    assert not same(near[1], near[2])
    apart = object_colours(ids, [cube(0), cube(5), cube(10)])
    assert same(apart[0], apart[1])
    assert same(apart[1], apart[2])


def test_an_object_keeps_its_colour_whatever_the_order_and_whoever_leaves():
    one, two, three = cube(0), cube(0.2), cube(3)
    here = object_colours([4, 9, 2], [one, two, three])
    later = object_colours([2, 4], [three, one])
    assert same(here[0], later[1])
    assert same(here[2], later[0])


def test_more_neighbours_than_colours_and_none_at_all():
    crowd = object_colours(range(1, 31), [cube(0.01 * k) for k in range(30)])
    assert len(np.unique(crowd, axis=0)) == len(DISTINCT)
    assert object_colours([], []).shape == (0, 3)
