import numpy as np
import pytest
from grey_box import grey_box_on_a_grey_floor
from small_site import small_scene

from otoc_ros.core.border_look import BORDER_FEATURES, _ratios, describe_borders, heights
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.core.voxel_graph import voxel_graph

UP = np.array([0.0, 0.0, 1.0])
AT_THE_BORDER = slice(22, 28)  # columns


@pytest.fixture(scope="module", params=["coloured", "colourless"])
def prepared(request):
    cloud, _ = small_scene(3)
    rgb = cloud.rgb if request.param == "coloured" else None
    return preprocess(Cloud(cloud.xyz, rgb), Preprocessing(voxel_size=0.05), UP)


def test_what_lies_across_a_border_is_the_mean_over_the_voxels_that_touch_there(prepared):
    features = describe_borders(prepared, Look.of(prepared))
    xyz, normal, groups = prepared.xyz, prepared.normal, prepared.supervoxel
    first, other = voxel_graph(prepared.grid.coords, xyz, 1, len(xyz))
    ratio = _ratios(prepared)
    bright = np.zeros(len(xyz)) if prepared.rgb is None else prepared.rgb.mean(axis=1)
    size = np.bincount(groups)
    for number in range(0, len(features), 37):
        pair = set(prepared.borders.pairs[number].tolist())
        edges = [
            (one, two)
            for one in np.flatnonzero(np.isin(groups, list(pair)))
            for two in other[first[one] : first[one + 1]]
            if {int(groups[one]), int(groups[two])} == pair
        ]
        one, two = np.array(edges).T
        way = xyz[two] - xyz[one]
        level = abs((way * normal[one]).sum(axis=1)) + abs((way * normal[two]).sum(axis=1))
        expected = [
            len(edges) / np.sqrt(size[list(pair)].min()),
            abs(bright[one] - bright[two]).mean(),
            np.linalg.norm(ratio[one] - ratio[two], axis=1).mean(),
            abs((normal[one] * normal[two]).sum(axis=1)).mean(),
            np.linalg.norm(way, axis=1).mean() / 0.05,
            level.mean() / 0.1,
        ]
        np.testing.assert_allclose(features[number, AT_THE_BORDER], expected, atol=1e-4)


def test_a_pair_has_no_first_one_and_colour_is_known_to_be_there(prepared):
    features = describe_borders(prepared, Look.of(prepared))
    assert features.shape == (len(prepared.borders.pairs), BORDER_FEATURES)
    assert np.isfinite(features).all()
    for lower in range(8, 22, 2):
        assert (features[:, lower] <= features[:, lower + 1]).all()
    assert (features[:, 28] == (prepared.rgb is not None)).all()


def test_heights_are_above_the_floor_in_sizes_of_super_voxels():
    prepared, sensors = grey_box_on_a_grey_floor()
    look = Look.of(prepared, sensors)
    above = heights(prepared, look) * look.size
    assert abs(np.median(above)) < 0.05
    assert 0.5 < above.max() < 1.0
