import numpy as np
from grey_box import grey_box_on_a_grey_floor
from small_site import make_small_site

from offline_training.reach.by_hand import (
    _with_colours,
    _without_islands,
    ample_areas,
    object_areas,
    reach_by_hand,
)
from offline_training.reach.clicked import symmetric
from offline_training.reach.shares import nothing_reached
from offline_training.scenes import Mark, TrainingScene, load_scene, voxel_truth
from offline_training.self_training import preprocessing
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess


def test_clicks_alone_reach_most_of_their_objects(tmp_path):
    site = make_small_site(tmp_path / "site", train=2, val=0)
    for scene in site.scenes():
        loaded = load_scene(scene, preprocessing(site))
        truth = voxel_truth(scene, loaded.prepared).semantic
        reach = reach_by_hand(loaded, np.array([False, True, True]))
        np.testing.assert_allclose(np.exp(reach).sum(axis=1), 1, atol=1e-5)
        # Whether a place is a thing at all is left to the networks: stuff is never far.
        best = 1 + reach[:, 1:].argmax(axis=1)[loaded.prepared.supervoxel]
        things = truth > 0
        assert (best == truth)[things].mean() > 0.8  # each of two classes by chance: 0.5
        for mark in loaded.marks:
            assert reach[mark.supervoxel, mark.class_id] == reach[mark.supervoxel].max()


def click(prepared: Prepared, place: tuple[float, float, float], name: int) -> Mark:
    nearest = int(((prepared.xyz + prepared.grid.origin - place) ** 2).sum(axis=1).argmin())
    return Mark("click", name, name, int(prepared.supervoxel[nearest]))


def test_a_table_is_no_floor_though_it_is_as_grey_and_level():
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-1.5, 1.5, (40_000, 2)), np.zeros(40_000)])
    table = np.column_stack([rng.uniform(-1, 1, 15_000), rng.uniform(-0.4, 0.4, 15_000)])
    table = np.column_stack([table, np.full(15_000, 0.3)])
    xyz = np.concatenate([floor, table]).astype(np.float32)
    grey = np.full((len(xyz), 3), 128, np.uint8)
    prepared = preprocess(Cloud(xyz, grey), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))
    at = prepared.xyz + prepared.grid.origin
    # At the far end of the table the floor's click is the nearer one.
    marks = (click(prepared, (1.3, 0.5, 0.0), 0), click(prepared, (-0.8, 0.0, 0.3), 1))
    scene = TrainingScene("s", prepared, (), (), marks)
    reach = reach_by_hand(scene, np.array([False, True]))
    found = reach.argmax(axis=1)[prepared.supervoxel]
    on_table = at[:, 2] > 0.15
    assert found[on_table].mean() > 0.9 and found[~on_table].mean() < 0.02


def test_without_clicks_every_class_is_as_near():
    prepared, _ = grey_box_on_a_grey_floor()
    scene = TrainingScene("s", prepared, (), (), ())
    nothing = nothing_reached(prepared.n_supervoxels, 3)
    reached = reach_by_hand(scene, np.array([False, True, True]))
    np.testing.assert_allclose(nothing, reached, atol=1e-6)
    np.testing.assert_allclose(np.exp(nothing).sum(axis=1), 1, atol=1e-6)


def painted_walls(picture_colour: tuple[int, int, int]) -> Prepared:
    """A grey wall, and one round the corner in green with a greenish picture on it.

    Nobody clicks the green wall, and the picture is less unlike it than the grey wall is.
    """
    rng = np.random.default_rng(0)
    across, up = rng.uniform(0, 3, (2, 60_000)), rng.uniform(0, 2, (2, 60_000))
    grey = np.column_stack([np.zeros(60_000), across[0], up[0]])
    green = np.column_stack([across[1], np.zeros(60_000), up[1]])
    picture = (np.abs(green[:, 0] - 1.5) < 0.3) & (np.abs(green[:, 2] - 1.2) < 0.3)
    rgb = np.where(picture[:, None], picture_colour, [90, 150, 90])
    rgb = np.concatenate([np.full((60_000, 3), 120), rgb]).astype(np.uint8)
    xyz = np.concatenate([grey, green]).astype(np.float32)
    return preprocess(Cloud(xyz, rgb), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))


def test_a_picture_does_not_take_the_wall_that_it_hangs_on():
    prepared = painted_walls((110, 140, 90))
    marks = (click(prepared, (0.0, 2.0, 1.0), 0), click(prepared, (1.5, 0.0, 1.2), 1))
    scene = TrainingScene("s", prepared, (), (), marks)
    reach = reach_by_hand(scene, np.array([False, True]))
    found = reach.argmax(axis=1)[prepared.supervoxel]
    at = prepared.xyz + prepared.grid.origin
    aside = np.abs(at - (1.5, 0.0, 1.2))
    inside, around = (aside < 0.27).all(axis=1), (aside > 0.35).any(axis=1)
    assert found[inside].mean() > 0.9 and found[around].mean() < 0.1


def test_a_picture_of_usual_size_does_not_leak_into_a_wall_of_almost_its_colour():
    prepared = painted_walls((96, 144, 96))
    marks = (click(prepared, (0.0, 2.0, 1.0), 0), click(prepared, (1.5, 0.0, 1.2), 1))
    scene = TrainingScene("s", prepared, (), (), marks)
    thing = np.array([False, True])
    areas = object_areas(scene, reach_by_hand(scene, thing))
    leaked = areas[1]
    assert leaked > 4 * 0.36  # m², of the picture

    def area_again(usual: float) -> float:
        ample = ample_areas(marks, areas, np.array([np.nan, usual]))
        return object_areas(scene, reach_by_hand(scene, thing, ample))[1]

    held = area_again(0.36)
    assert 0.25 < held < 2 * 0.36
    large = area_again(leaked)
    assert large == leaked


def test_what_no_click_of_a_thing_is_joined_to_is_less_likely_that_thing():
    prepared, _ = grey_box_on_a_grey_floor()
    look, pairs = Look.of(prepared), prepared.borders.pairs
    at = look.center + prepared.grid.origin
    near, far = ((np.abs(at[:, :2] - place) < 0.35).all(axis=1) for place in (-1.1, 1.1))
    assert near.sum() > 2 and far.sum() > 2
    log_belief = np.log(np.tile(np.float32([0.6, 0.3, 0.1]), (len(at), 1)))
    log_belief[near | far] = np.log(np.float32([0.1, 0.3, 0.6]))
    marks = [Mark("click", 2, 1, int(np.flatnonzero(near)[0]))]
    for kind, left in (([False, True, True], 0), ([False, False, False], 2)):
        found = _without_islands(log_belief, marks, look, pairs, np.array(kind))
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
        best = found.argmax(axis=1)
        assert (best[near] == 2).all() and (best[~(near | far)] == 0).all()
        assert (best[far] == left).all()


def test_super_voxels_without_a_border_persuade_each_other_both_ways():
    prepared, _ = grey_box_on_a_grey_floor()
    look, pairs = Look.of(prepared), prepared.borders.pairs
    sure = int(pairs[len(pairs) // 2, 0])
    touching = np.concatenate([pairs[pairs[:, 0] == sure, 1], pairs[pairs[:, 1] == sure, 0]])
    assert (touching > sure).any() and (touching < sure).any()
    log_reach = np.zeros((len(look.center), 2), np.float32)
    log_reach[sure] = 0, -20
    alike = symmetric(pairs, np.full(len(pairs), 3.0), len(look.center))
    found = _with_colours(log_reach, np.array([True, True]), look, alike)
    assert (found[touching, 0] > found[touching, 1] + 1).all()


def test_the_smallest_of_clouds_is_reached():
    for count in (1, 2):
        xyz = np.arange(3 * count, dtype=np.float32).reshape(-1, 3)
        prepared = preprocess(Cloud(xyz), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))
        scene = TrainingScene("s", prepared, (), (), (Mark("click", 1, 1, 0),))
        reach = reach_by_hand(scene, np.array([False, True]))
        assert np.isfinite(reach).all() and reach[0].argmax() == 1
