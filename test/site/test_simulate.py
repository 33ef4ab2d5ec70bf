"""Simulated clicks: one an object or surface, on real points, the same for the same seed."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.site.scene import Scene
from otoc_ros.site.simulate import SECONDS_PER_CLICK, scene_rng, simulate_clicks
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth


@pytest.fixture
def scene(site: Site) -> Scene:
    """Two walls 2 m apart, a scrap of wall, three chairs (two touch) and a cup of 5 points."""
    rng = np.random.default_rng(3)
    parts = []

    def add(low: tuple, high: tuple, count: int, semantic: int, instance: int) -> None:
        points = rng.uniform(low, high, (count, 3))
        parts.append((points, np.full(count, semantic), np.full(count, instance)))

    add((0, 0, 0), (0.02, 3, 2), 6000, 0, 0)
    add((2, 0, 0), (2.02, 3, 2), 6000, 0, 0)
    add((1, 2.9, 1.8), (1.02, 3, 1.9), 30, 0, 0)
    add((0.4, 0.4, 0), (0.9, 0.9, 0.9), 800, 1, 1)
    add((0.4, 1.6, 0), (0.9, 2.1, 0.9), 800, 1, 2)
    add((0.4, 2.1, 0), (0.9, 2.6, 0.9), 800, 1, 4)
    add((1.5, 1.5, 0.5), (1.52, 1.52, 0.52), 5, 2, 3)
    xyz, semantic, instance = (np.concatenate(column) for column in zip(*parts, strict=True))
    xyz[::50] = np.nan
    return site.add_scene("scan", Cloud(xyz), truth=Truth(semantic, instance))


def rows_of(scene: Scene, clicks: list) -> np.ndarray:
    xyz = scene.cloud().xyz
    finite = np.flatnonzero(np.isfinite(xyz).all(1))
    distance, nearest = cKDTree(xyz[finite]).query([click.position for click in clicks])
    assert (distance == 0).all(), "a click is not on a point of the scan"
    return finite[nearest]


@pytest.mark.parametrize("border", [0.0, 1.0])
def test_one_click_for_each_object_and_surface(site: Site, scene: Scene, border: float) -> None:
    clicks = simulate_clicks(scene, site.config, scene_rng(0, "scan"), border=border)
    assert [(click.class_name, click.object) for click in clicks] == [
        ("wall", 0),
        ("wall", 0),
        ("chair", 1),
        ("chair", 2),
        ("chair", 4),
    ]
    truth = scene.truth()
    rows = rows_of(scene, clicks)
    names = [site.config.classes[row].name for row in truth.semantic[rows]]
    assert names == [click.class_name for click in clicks]
    assert truth.instance[rows].tolist() == [click.object for click in clicks]
    assert {round(click.position[0]) for click in clicks[:2]} == {0, 2}
    assert {click.source for click in clicks} == {"simulated"}
    assert [click.time for click in clicks] == [n * SECONDS_PER_CLICK for n in range(5)]


def test_same_seed_same_clicks(site: Site, scene: Scene) -> None:
    first, again, other, elsewhere = (
        simulate_clicks(scene, site.config, scene_rng(seed, name))
        for seed, name in ((0, "scan"), (0, "scan"), (1, "scan"), (0, "other"))
    )
    assert first == again
    assert first != other and first != elsewhere
    scene.append_clicks(first)
    assert scene.append_clicks(again) == 0
    assert scene.clicks() == first


def test_middle_and_border(site: Site, scene: Scene) -> None:
    middle, border = (
        np.array(
            [
                click.position
                for seed in range(12)
                for click in simulate_clicks(
                    scene, site.config, scene_rng(seed, "scan"), border=share
                )
                if click.object == 2
            ]
        )
        for share in (0.0, 1.0)
    )
    centre = (0.65, 1.85, 0.45)
    assert np.linalg.norm(middle.mean(0) - centre) < 0.1
    assert np.ptp(middle, axis=0).min() > 0.05  # a hand does not hit the same spot twice
    assert (border[:, 1] > 2.1 - 0.1).all()  # next to the chair that it touches
    assert len(np.unique(border, axis=0)) > 6


def test_a_hand_that_misses_aims_again(site: Site) -> None:
    """A wall whose middle is hidden: what is nearest to the middle is its rim there."""
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 8_000), np.sqrt(rng.uniform(0.3**2, 1, 8_000))
    ring = np.column_stack([np.zeros(8_000), radius * np.cos(angle), radius * np.sin(angle)])
    truth = Truth(np.zeros(8_000, int), np.zeros(8_000, int))
    scene = site.add_scene("ring", Cloud(ring), truth=truth)
    clicked = [
        np.linalg.norm(click.position)
        for seed in range(40)
        for click in simulate_clicks(scene, site.config, scene_rng(seed, "ring"))
    ]
    assert len(clicked) == 40
    assert 0.35 < np.median(clicked) < 0.65
    assert np.mean(np.array(clicked) < 0.32) < 0.25


def test_share_of_wrong_clicks(site: Site, scene: Scene) -> None:
    right = wrong = 0
    for seed in range(15):
        clicks = simulate_clicks(scene, site.config, scene_rng(seed, "scan"), wrong=0.5)
        truth = scene.truth().semantic[rows_of(scene, clicks)]
        for click, row in zip(clicks, truth, strict=True):
            agrees = site.config.classes[row].name == click.class_name
            right, wrong = right + agrees, wrong + (not agrees)
    assert 0.3 < wrong / (right + wrong) < 0.7
    always = simulate_clicks(scene, site.config, scene_rng(0, "scan"), wrong=1.0)
    assert [click.class_name for click in always[:2]].count("wall") == 0


def test_things_without_numbers_are_told_apart_by_gaps(site: Site, scene: Scene) -> None:
    truth = scene.truth()
    blind = Truth(truth.semantic, np.zeros(len(truth), int))
    unnumbered = site.add_scene("blind", scene.cloud(), truth=blind)
    clicks = simulate_clicks(unnumbered, site.config, scene_rng(0, "blind"))
    chairs = [click for click in clicks if click.class_name == "chair"]
    assert len(chairs) == 2  # two of the three touch
    assert len({click.object for click in chairs}) == 2 and 0 not in {c.object for c in chairs}


def test_scene_without_truth_or_odd_share(site: Site, cloud: Cloud, scene: Scene) -> None:
    blank = site.add_scene("blank", cloud)
    with pytest.raises(InputError, match="no ground truth"):
        simulate_clicks(blank, site.config, scene_rng(0, "blank"))
    with pytest.raises(InputError, match=r"within 0\.\.1"):
        simulate_clicks(scene, site.config, scene_rng(0, "scan"), wrong=1.5)


def test_everything_unknown_gives_no_clicks(site: Site, cloud: Cloud) -> None:
    truth = Truth(np.full(500, -1), np.zeros(500, int))
    scene = site.add_scene("unknown", cloud, truth=truth)
    assert simulate_clicks(scene, site.config, scene_rng(0, "unknown")) == []
