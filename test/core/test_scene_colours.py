from dataclasses import replace

import numpy as np
from grey_box import grey_box_on_a_grey_floor

from otoc_ros.core.look import Look
from otoc_ros.core.propagation import PropagationSettings
from otoc_ros.core.scene_colours import SceneColours, with_scene_colours


def two_colours(count: int):
    """Super-voxels of one class in blue and of one in red, and which are blue."""
    prepared, _ = grey_box_on_a_grey_floor()
    look = Look.of(prepared)
    rng = np.random.default_rng(0)
    blue = np.arange(count) < count // 2
    ratio = np.where(blue[:, None], [0.5, 0.7, 1.2], [1.2, 0.7, 0.5])
    ratio += rng.normal(0, 0.02, ratio.shape)
    return replace(
        look,
        ratio=ratio.astype(np.float32),
        brightness=np.full(count, 0.5, np.float32),
        area=np.ones(count),
    ), blue


def test_a_wrong_belief_is_corrected_by_the_colour_that_the_class_has_in_this_scene():
    look, blue = two_colours(60)
    log_scores = np.log(np.where(blue[:, None], [0.8, 0.2], [0.2, 0.8])).astype(np.float32)
    log_scores[:3] = np.log([0.4, 0.6])  # blue, and believed to be of the other class
    settings = PropagationSettings(colour_share=0.4)
    found = with_scene_colours(log_scores, look, settings)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
    assert (found.argmax(axis=1) == ~blue).all()
    for off in ({"colour_share": 0.0}, {"kind": "transformer", "colour_share": 0.4}):
        same = with_scene_colours(log_scores, look, PropagationSettings(**off))
        assert same is log_scores


def test_without_colour_no_class_is_likelier():
    prepared, _ = grey_box_on_a_grey_floor()
    look = Look.of(replace(prepared, rgb=None))
    rng = np.random.default_rng(0)
    belief = rng.dirichlet(np.ones(3), len(look.center)).astype(np.float32)
    likely = SceneColours(look).log_likelihood(belief)
    np.testing.assert_allclose(likely, likely[0, 0], atol=1e-9)


def test_how_common_a_colour_is_does_not_depend_on_how_large_the_class_is():
    look, blue = two_colours(60)
    belief = np.where(blue[:, None], [0.9, 0.0], [0.0, 0.001]).astype(np.float32)
    likely = SceneColours(look).log_likelihood(belief)
    assert np.abs(likely[blue, 0].mean() - likely[~blue, 1].mean()) < 0.3
    assert likely[blue, 1].max() < likely[blue, 0].min() - 2
