"""The colours that each class has in one scene, from what is believed of the scene so far.

A door is of another colour in every building, and of one colour in most rooms. Beliefs that are
right on the whole say which colours a class has here, and these say which single beliefs are wrong
(as GrabCut, SIGGRAPH 2004, goes from strokes to a region).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

from otoc_ros.core.look import BRIGHTNESS_SHARE, Look
from otoc_ros.core.propagation import PropagationSettings, log_softmax

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Chosen on rooms of train and dev furniture that no result stands on.
CELL = 0.06  # σ of the colours of a class, and the size of the cells that they are counted in
FAR = 3.0  # σ from which colours are not alike at all
ROUNDS = 2  # of beliefs to colours and back
STRANGE = 0.01  # how common a colour is in a class that has it nowhere


class SceneColours:
    """The colours of M super-voxels, sorted into cells: time grows with the colours that a scene
    has, not with the pairs of its super-voxels. Without colour every class is as likely.

    Args:
        look: of the super-voxels.
    """

    def __init__(self, look: Look) -> None:
        colour = np.column_stack([look.ratio, BRIGHTNESS_SHARE * look.brightness]) / CELL
        _, cell = np.unique(np.round(colour), axis=0, return_inverse=True)
        self._cell, self._area = cell.ravel(), look.area
        count = np.bincount(self._cell)
        mean = np.stack([np.bincount(self._cell, each) / count for each in colour.T], axis=1)
        tree = cKDTree(mean)
        near = tree.sparse_distance_matrix(tree, FAR, output_type="coo_matrix")
        alike = np.exp(-(near.data**2) / 2)
        self._alike = coo_matrix((alike, (near.row, near.col)), shape=near.shape).tocsr()

    def log_likelihood(self, belief: F32) -> F64:
        """log of how common each super-voxel's colour is in each class: float64 [M, C].

        Args:
            belief: float32 [M, C], probabilities of the classes.
        """
        cells = self._alike.shape[0]
        found = [np.bincount(self._cell, self._area * each, minlength=cells) for each in belief.T]
        inside = np.stack(found, axis=1)
        share = inside / np.maximum(inside.sum(axis=0), 1e-9)
        return np.asarray(np.log((self._alike @ share)[self._cell] + STRANGE), np.float64)


def with_scene_colours(log_scores: F32, look: Look, settings: PropagationSettings) -> F32:
    """Scores of classes that count, too, how common each colour is where a class is believed.

    Args:
        log_scores: float32 [M, C], log-probabilities of the classes.
        look: of the M super-voxels.

    Returns:
        float32 [M, C], log-probabilities; as they are where a transformer propagates, for it makes
        scores of its own.
    """
    if settings.colour_share == 0 or settings.kind == "transformer":
        return log_scores
    colours = SceneColours(look)
    log_belief = log_softmax(log_scores)
    for _ in range(ROUNDS):
        likely = colours.log_likelihood(np.exp(log_belief))
        log_belief = log_softmax((log_scores + settings.colour_share * likely).astype(np.float32))
    return log_belief
