"""Growing clicked objects over super-voxels."""

import numpy as np
import pytest

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.growth import Growth, Seeds, flat_surfaces, touching
from otoc_ros.core.preprocess import Prepared, Preprocessing, preprocess

RED, BLUE, GREY = (200, 40, 40), (40, 40, 200), (120, 120, 120)


def _box(rng: np.random.Generator, center: tuple[float, float], side: float) -> np.ndarray:
    """Points on the faces of an upright box that stands on z = 0."""
    faces = rng.uniform(-1, 1, (9000, 3))
    faces /= np.abs(faces).max(axis=1, keepdims=True)
    return faces * side / 2 + [*center, side / 2]


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    """A floor of 5 m with a red box, and a blue one that touches it."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-2.5, 2.5, (70_000, 2)), np.zeros(70_000)])
    parts = [floor, _box(rng, (0.0, 0.0), 0.6), _box(rng, (0.6, 0.0), 0.6)]
    rgb = np.repeat(np.array([GREY, RED, BLUE], np.uint8), [len(part) for part in parts], 0)
    cloud = Cloud(np.concatenate(parts).astype(np.float32), rgb)
    return preprocess(cloud, Preprocessing(voxel_size=0.04), np.array([0, 0, 1.0]))


def at(prepared: Prepared, *place: float) -> int:
    distance = np.linalg.norm(prepared.xyz + prepared.grid.origin - np.array(place), axis=1)
    return int(prepared.supervoxel[distance.argmin()])


def share(prepared: Prepared, owner: np.ndarray, row: int, color: tuple[int, ...]) -> float:
    """Intersection over union of an object and the voxels of a colour that stand up."""
    assert prepared.rgb is not None
    of_color = np.linalg.norm(prepared.rgb * 255 - color, axis=1) < 60
    of_color &= prepared.height > 0.02
    mine = owner[prepared.supervoxel] == row
    return (mine & of_color).sum() / (mine | of_color).sum()


def test_one_click_fills_the_box_and_not_its_neighbour_nor_the_floor(prepared: Prepared) -> None:
    growth = Growth(prepared)
    owner = growth([Seeds((at(prepared, 0, 0, 0.6),)), Seeds((at(prepared, 0.6, 0, 0.6),))])
    assert share(prepared, owner, 0, RED) > 0.8
    assert share(prepared, owner, 1, BLUE) > 0.8
    assert owner[at(prepared, -1, -1, 0)] == -1


def test_a_floor_stays_on_its_island(prepared: Prepared) -> None:
    graph = touching(prepared)
    floor = at(prepared, -1, -1, 0)
    island = flat_surfaces(prepared, graph)
    assert island[floor] >= 0 and island[at(prepared, 0, 0, 0.6)] != island[floor]
    owner = Growth(prepared)([Seeds((floor,), is_surface=True)])
    assert owner[at(prepared, 1.2, 1.2, 0)] == 0
    assert owner[at(prepared, 0, 0, 0.6)] == -1


def test_exclusions_hold_for_their_object_alone(prepared: Prepared) -> None:
    growth = Growth(prepared)
    red, blue = at(prepared, 0, 0, 0.6), at(prepared, 0.6, 0, 0.6)
    inside = growth([Seeds((red,))])
    excluded = int(np.flatnonzero((inside == 0) & (np.arange(len(inside)) != red))[0])
    owner = growth([Seeds((red,), outside=(excluded,))])
    assert owner[excluded] == -1 and owner[red] == 0
    owner = growth([Seeds((red,), outside=(excluded,)), Seeds((excluded,))])
    assert owner[excluded] == 1
    assert growth([Seeds((red,)), Seeds((blue,)), Seeds((red,))])[red] == 2  # the last one holds


def test_a_network_feature_divides_what_looks_alike(prepared: Prepared) -> None:
    red = at(prepared, 0, 0, 0.6)
    plain = Growth(prepared)([Seeds((red,))])
    feature = np.zeros((prepared.n_supervoxels, 2), np.float32)
    feature[:, 0] = 1
    cut = np.flatnonzero((plain == 0) & (np.arange(len(plain)) != red))[::2]
    feature[cut] = (0, 1)
    owner = Growth(prepared, feature)([Seeds((red,))])
    assert owner[red] == 0 and (owner[cut] == -1).all()
