import numpy as np
from rich.progress import Progress

from offline_training.site_evaluation import evaluate_bundle


def test_one_click_per_object_teaches_far_more_than_chance(trained_site, tiny_bundle):
    scenes = trained_site.scenes(split="val")
    scores = evaluate_bundle(tiny_bundle, trained_site, scenes, Progress(disable=True))
    assert scores["miou"] > 0.8  # always saying floor scores 0.16
    assert scores["ap50"] > 0.5
    assert np.isfinite(scores["ap"])
