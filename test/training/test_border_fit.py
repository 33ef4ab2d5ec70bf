import numpy as np
import onnxruntime
import pytest
import torch

from offline_training import border_fit
from offline_training.border_fit import SeenBorders, fit_borders, parting, see_borders
from offline_training.export import write_head_onnx
from offline_training.reach import ReachModel
from offline_training.scenes import majority
from otoc_ros.core.border_look import BORDER_FEATURES
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.preprocess import Preprocessing, preprocess

UP = np.array([0.0, 0.0, 1.0])


def box(rng, x, y, z, width, height):
    """Points on the top and the front of a box, which stands at z."""
    across, along, up = rng.uniform(0, 1, (3, 3000))
    top = np.column_stack([x + width * across, y + width * along, np.full(3000, z + height)])
    front = np.column_stack([x + width * across, np.full(3000, y), z + height * up])
    return np.concatenate([top, front])


def small_boxes_on_large_ones(seed):
    """The borders of four pairs, seen from above and before."""
    rng = np.random.default_rng(seed)
    parts = []
    for x in (0.0, 0.5, 1.0, 1.5):
        low, high = rng.uniform(0.08, 0.2, 2)
        under = box(rng, x, 0.0, 0.0, 0.3, low)
        upon = box(rng, x + 0.08, 0.08, low, 0.14, high)
        hidden = (np.abs(under[:, :2] - [x + 0.15, 0.15]) < 0.07).all(axis=1)
        parts += [under[~hidden], upon]
    owner = np.repeat(np.arange(1, 9, dtype=np.int32), [len(part) for part in parts])
    xyz = (np.concatenate(parts) + [-0.9, 1.5, -1.0]).astype(np.float32)
    settings = Preprocessing(voxel_size=0.015, supervoxel_size=0.05)
    prepared = preprocess(Cloud(xyz), settings, UP)
    owner = majority(owner, prepared.voxel_of_point, len(prepared.xyz))
    return see_borders(prepared, owner)


def told_apart(borders, scene):
    """Mean parting of the borders between objects, and of those inside."""
    one, other = scene.sides.T
    values = parting(borders, scene)
    return values[one != other].mean(), values[one == other].mean()


@pytest.fixture(scope="module")
def known():
    return ReachModel.shipped().borders()


def test_borders_of_objects_of_unseen_scenes_are_told_better_than_by_what_is_known(known):
    fitted = fit_borders(known, [small_boxes_on_large_ones(seed) for seed in range(3)])
    for seed in (10, 11):
        between, inside = told_apart(fitted, small_boxes_on_large_ones(seed))
        was_between, was_inside = told_apart(known, small_boxes_on_large_ones(seed))
        assert between > 1.5 and inside < 0.5
        assert between - inside > 2 * (was_between - was_inside)


def test_where_all_is_one_object_or_little_is_labelled_nothing_is_learnt(known):
    described, sides = small_boxes_on_large_ones(0)
    assert fit_borders(known, []) is known
    assert fit_borders(known, [SeenBorders(described, np.ones_like(sides))]) is known
    one = np.where(sides == 1, 1, 0).astype(np.int32)
    assert fit_borders(known, [SeenBorders(described, one)]) is known


def test_a_site_is_pulled_toward_what_is_known(known, monkeypatch):
    scene = small_boxes_on_large_ones(0)
    monkeypatch.setattr(border_fit, "PULL", 1e9)
    held = fit_borders(known, [scene])
    described = torch.from_numpy(scene.described)
    change = (held(described) - known(described))[:, 0]
    assert change.std() < 1e-3 < change.abs().mean()  # how often things touch is the site's own


def test_layers_beside_the_known_ones_add_a_linear_function_and_run_on_a_robot(known, tmp_path):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=BORDER_FEATURES)
    layers = border_fit._beside(known, 0.5, weight, -0.3)
    x = rng.normal(size=(50, BORDER_FEATURES)).astype(np.float32)
    expected = 0.5 * known(torch.from_numpy(x))[:, 0].detach().numpy() + x @ weight - 0.3
    np.testing.assert_allclose(layers(torch.from_numpy(x))[:, 0].detach(), expected, atol=1e-4)
    path = tmp_path / "borders.onnx"
    write_head_onnx(path, "together", layers, BORDER_FEATURES, {})
    (answer,) = onnxruntime.InferenceSession(path).run(["together"], {"described": x})
    np.testing.assert_allclose(answer[:, 0], expected, atol=1e-4)


def test_a_scene_that_is_held_back_does_not_teach_its_own_borders(known, monkeypatch):
    scenes = [small_boxes_on_large_ones(seed) for seed in range(5)]
    taught = []

    def watched(known, some):
        taught.append([id(scene) for scene in some])
        return fit_borders(known, some)

    monkeypatch.setattr(border_fit, "fit_borders", watched)
    found = border_fit.held_back_parting(known, scenes)
    assert [len(each) for each in found] == [len(scene.sides) for scene in scenes]
    for row, scene in enumerate(scenes):
        fits = [part for part in taught if id(scene) not in part]
        assert len(fits) == 1, row  # each scene is held back once
    assert border_fit.held_back_parting(known, scenes[:1])[0] == pytest.approx(
        parting(known, scenes[0])
    )
