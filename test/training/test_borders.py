import numpy as np
import onnxruntime
import pytest
import torch

from offline_training.borders import fit, fit_borders, known_borders, shipped_borders
from offline_training.export import write_head_onnx
from offline_training.rooms.draw import Draw
from offline_training.tables import table_view
from offline_training.tables.arrangement import arrange, parted
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.core.seen_borders import SEEN_FEATURES

UNSEEN = range(50_000, 50_003)  # tables that nothing was learnt from


def borders_of(seed, grey=False):
    view = table_view(seed)
    cloud = Cloud(view.cloud.xyz) if grey else view.cloud
    prepared = preprocess(cloud, Preprocessing(voxel_size=0.01), view.up)
    return known_borders(prepared, view.instance)


@pytest.fixture(scope="module")
def unseen():
    return [borders_of(seed) for seed in UNSEEN]


def likelihood(net, scenes):
    """Mean probability that is given to what is true, of the borders between objects and inside."""
    with torch.no_grad():
        says = torch.cat([net(torch.from_numpy(each.described)) for each in scenes]).sigmoid()
    same = np.concatenate([each.same for each in scenes])
    assert 10 < (~same).sum() < same.sum()
    return float((1 - says.numpy())[~same].mean()), float(says.numpy()[same].mean())


@pytest.mark.parametrize("grey", [False, True])
def test_what_ships_tells_objects_on_unseen_tables_apart_in_colour_and_without(grey):
    between, inside = likelihood(shipped_borders(), [borders_of(seed, grey) for seed in UNSEEN])
    assert between > 0.5
    assert inside > 0.85


def test_it_is_learnt_from_clouds_whose_objects_are_known(unseen, monkeypatch):
    monkeypatch.setattr(fit, "STEPS", 150)
    places = [[borders_of(seed) for seed in range(8)], [borders_of(8)]]
    net = fit_borders(places, 0, iter)
    between, inside = likelihood(net, unseen)
    assert between + inside > 1.2  # 1 is what a guess has, however sure
    again = fit_borders(places, 0, iter)
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_borders_of_what_is_no_object_teach_nothing():
    view = table_view(4)
    prepared = preprocess(view.cloud, Preprocessing(voxel_size=0.01), view.up)
    known = known_borders(prepared, view.instance)
    assert 0 < len(known.same) < len(prepared.borders.pairs)
    assert known.described.shape == (len(known.same), SEEN_FEATURES)
    nobody = known_borders(prepared, 0 * view.instance)
    assert len(nobody.same) == 0


def test_a_bundle_says_what_the_network_says(unseen, tmp_path):
    net = shipped_borders()
    write_head_onnx(tmp_path / "borders.onnx", "together", net.plain(), SEEN_FEATURES, {})
    session = onnxruntime.InferenceSession(tmp_path / "borders.onnx")
    (found,) = session.run(["together"], {"described": unseen[0].described})
    with torch.no_grad():
        expected = net(torch.from_numpy(unseen[0].described)).numpy()
    np.testing.assert_allclose(found[:, 0], expected, atol=2e-3)


@pytest.mark.parametrize("seed", range(6))
def test_things_on_a_table_are_never_inside_each_other_and_never_float(seed):
    stood = arrange(Draw("train", np.random.default_rng(seed)))
    assert len(stood) >= 1
    for row, one in enumerate(stood):
        carriers = [0.0] + [other.top for other in stood if other is not one]
        assert np.abs(np.array(carriers) - one.position[2]).min() < 1e-6
        for other in stood[:row]:
            stacked = max(one.position[2] - other.top, other.position[2] - one.top) > -1e-5
            assert stacked or parted(one.covers(), other.covers())


def test_a_view_shows_its_things_from_before_them_and_is_the_same_for_the_same_seed():
    view, again = table_view(5), table_view(5)
    np.testing.assert_array_equal(view.cloud.xyz, again.cloud.xyz)
    np.testing.assert_array_equal(view.instance, again.instance)
    assert len(np.unique(view.instance)) >= 3
    assert view.cloud.xyz[:, 2].min() > 0.3  # before the camera
    height = view.cloud.xyz @ view.up
    assert np.median(height[view.instance > 0]) > np.median(height[view.instance == 0])
    assert np.linalg.norm(view.up) == pytest.approx(1)
