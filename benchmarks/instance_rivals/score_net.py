"""ScoreNet as PointGroup published it (arXiv 2004.01658, 3.4): a small U-Net over each cluster.

Clusters of known overlap are its lessons. It sees the U-Net's features on a cluster's voxels, takes
the largest of each channel, and tells how much of an object the cluster is.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from offline_training.sparse import Maps
from offline_training.unet import UNet
from otoc_ros.core.clustering import Instance

NOTHING, ALL = 0.25, 0.75  # overlap with an object up to which the target is 0, from which it is 1
LEVELS = 2
STEPS = 300
CLUSTERS = 16  # of a step
LEARNING_RATE = 3e-3


@dataclass(frozen=True, eq=False)
class Cluster:
    """coords int32 [V, 3] sorted, feature float32 [V, D], target 0..1."""

    coords: np.ndarray
    feature: np.ndarray
    target: float


class ScoreNet(nn.Module):
    """Clusters to scores."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.unet = UNet(channels, channels, LEVELS)
        self.head = nn.Linear(channels, 1)

    def forward(self, clusters: list[Cluster]) -> torch.Tensor:
        """Logits [len(clusters)]."""
        of_voxel = np.repeat(np.arange(len(clusters)), [len(c.coords) for c in clusters])
        coords = np.column_stack([of_voxel, np.concatenate([c.coords for c in clusters])])
        feature = torch.from_numpy(np.concatenate([c.feature for c in clusters]))
        seen = self.unet(feature, Maps.build(coords.astype(np.int32), LEVELS))
        rows = torch.from_numpy(of_voxel)[:, None].expand(-1, seen.shape[1])
        # Features are 0 or more, so zeros take no part in the largest.
        largest = seen.new_zeros(len(clusters), seen.shape[1]).scatter_reduce(0, rows, seen, "amax")
        return self.head(largest)[:, 0]


def train_score_net(lessons: list[Cluster], seed: int) -> ScoreNet:
    """Learn the targets of the clusters, binary cross-entropy as published."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = ScoreNet(lessons[0].feature.shape[1])
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = rng.choice(len(lessons), min(CLUSTERS, len(lessons)), replace=False)
        batch = [lessons[i] for i in chosen]
        target = torch.tensor([lesson.target for lesson in batch], dtype=torch.float32)
        loss = nn.functional.binary_cross_entropy_with_logits(net(batch), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def scores(net: ScoreNet, clusters: list[Cluster]) -> np.ndarray:
    """0..1, float64 [len(clusters)]."""
    if not clusters:
        return np.zeros(0)
    return torch.sigmoid(net(clusters)).double().numpy()


def as_clusters(coords, feature, found: list[Instance], truth: np.ndarray) -> list[Cluster]:
    """What ScoreNet sees of objects found on V voxels.

    Args:
        coords: int32 [V, 3]; feature: float32 [V, D]; truth: int32 [V], true object of each voxel,
            0 = none.
    """
    size = np.bincount(truth)
    clusters = []
    for each in found:
        shared = np.bincount(truth[each.voxels], minlength=len(size))
        shared[0] = 0
        overlap = (shared / (size + len(each.voxels) - shared)).max(initial=0.0)
        target = float(np.clip((overlap - NOTHING) / (ALL - NOTHING), 0, 1))
        clusters.append(Cluster(coords[each.voxels], feature[each.voxels], target))
    return clusters
