"""The first labels: what a scene's clicks reach, before any network of its site is trained.

Every super-voxel is compared with every click, over paths, by its look and by where it lies
(`clicked`); a second and a third look know what the first one found (`shares`). How much each of
this tells is learnt once, on simulated rooms (`model`, `fit`), and nothing in it knows a class.
Scenes of few clicks are reached by costs set by hand (`by_hand`).
"""

from __future__ import annotations

from offline_training.reach.every_scene import reach_every_scene
from offline_training.reach.model import LOOKS, ReachModel
from offline_training.reach.naming import Doubt

__all__ = ["LOOKS", "Doubt", "ReachModel", "reach_every_scene"]
