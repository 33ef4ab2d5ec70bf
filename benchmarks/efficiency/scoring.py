"""Confusion matrices of trained networks, room by room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from efficiency.bootstrap import miou
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline_training.beliefs import believe, network_scores, propagated
from offline_training.checkpoint import load_networks
from offline_training.labels import clicked_labels
from offline_training.scenes import TrainingScene, majority
from offline_training.self_training import (
    Networks,
    finished_rounds,
    preprocessing,
    round_folder,
    training_settings,
)
from offline_training.sparse import Maps
from otoc_ros.core.cloud import Cloud, estimate_up
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import Prepared, preprocess
from otoc_ros.site.scene import Scene
from otoc_ros.site.site import Site
from otoc_ros.site.truth import Truth

I32 = NDArray[np.int32]
F64 = NDArray[np.float64]
CPU = torch.device("cpu")
NEAR = 0.05  # metres between a view's point and the fused one that its truth is taken from


def confusion(truth: I32, predicted: I32, classes: int) -> NDArray[np.int64]:
    """int64 [C, C] of the points with truth: rows truth, columns prediction (-1 counts as 0)."""
    known = truth >= 0
    index = truth[known].astype(np.int64) * classes + np.maximum(predicted[known], 0)
    return np.bincount(index, minlength=classes**2).reshape(classes, classes)


class Trained:
    """The networks of a site's last finished round."""

    def __init__(self, site: Site) -> None:
        self.settings = training_settings(site)
        self.preprocessing = preprocessing(site)
        self.networks = Networks.fresh(site, self.settings, CPU)
        folder = round_folder(site, finished_rounds(site) - 1)
        load_networks(folder / "networks.safetensors", self.networks.named())

    def classes(self, prepared: Prepared, alone: bool) -> I32:
        """int32 [N], class of each point as the live pipeline finds it before its objects settle
        theirs, or as the U-Net alone."""
        if alone:
            return prepared.to_points(self._unet(prepared), fill=-1)
        scores = network_scores(self.networks.theta, self.networks.relation, prepared, CPU)
        if self.networks.transformer is not None:
            bank = self.networks.relation.bank
            scores = propagated(self.networks.transformer, bank, scores)
        nobody = clicked_labels((), prepared.n_supervoxels)
        scene = TrainingScene("", prepared, (), (), ())
        belief = believe(scene, scores, nobody, None, self.settings.propagation)
        found = belief.argmax(axis=1).astype(np.int32)[prepared.supervoxel]
        return prepared.to_points(found, fill=-1)

    @torch.no_grad()
    def _unet(self, prepared: Prepared) -> I32:
        theta = self.networks.theta.eval()
        maps = Maps.build(prepared.grid.coords, theta.unet.n_levels, CPU)
        logits = theta(torch.from_numpy(prepared.features), maps).logits
        found: I32 = logits.argmax(dim=1).numpy().astype(np.int32)
        return found


def prepare(
    scene: Scene, site: Site, *, colour: bool = True, tilt: float = 0.0
) -> tuple[Prepared, Truth]:
    """A scene as the live node would see its scan, and its truth.

    Args:
        colour: whether the sensor has any.
        tilt: degrees by which what is taken for up leans.

    Raises:
        InputError: it has no truth.
    """
    truth = _truth(scene)
    cloud = scene.cloud()
    if not colour:
        cloud = Cloud(cloud.xyz, None)
    up = None if scene.meta.up is None else np.array(scene.meta.up)
    if tilt:
        up = _leaning(estimate_up(cloud.xyz) if up is None else up, np.deg2rad(tilt))
    return preprocess(cloud, preprocessing(site), up), truth


def _leaning(up: F64, angle: float) -> F64:
    """A unit vector turned by an angle, to a side that is always the same."""
    side = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    leaning: F64 = up * np.cos(angle) + side / np.linalg.norm(side) * np.sin(angle)
    return leaning


def _truth(scene: Scene) -> Truth:
    truth = scene.truth()
    if truth is None:
        raise InputError(f"{scene.path} has no truth.npz; compare on scenes with truth")
    return truth


def room_confusions(
    trained: Trained, rooms: list[tuple[Prepared, Truth]], alone: bool, classes: int
) -> NDArray[np.int64]:
    """int64 [rooms, C, C]."""
    return np.stack(
        [
            confusion(truth.semantic, trained.classes(prepared, alone), classes)
            for prepared, truth in rooms
        ]
    )


def prepared_views(scene: Scene, site: Site, most: int) -> list[tuple[Prepared, Truth]]:
    """A scene's raw views as a camera on the robot sees them; truth from the fused scan."""
    truth = _truth(scene)
    fused = cKDTree(scene.cloud().xyz)
    views = []
    for row, view in enumerate(scene.meta.views[:most]):
        cloud, pose = scene.view_cloud(row), np.array(view.pose)
        finite = np.flatnonzero(np.isfinite(cloud.xyz).all(axis=1))
        cloud = Cloud(cloud.xyz[finite], None if cloud.rgb is None else cloud.rgb[finite])
        placed = cloud.xyz.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        distance, nearest = fused.query(placed, distance_upper_bound=NEAR)
        near = np.isfinite(distance)
        semantic = np.full(len(cloud), -1, np.int32)
        semantic[near] = truth.semantic[nearest[near]]
        # The scene's z axis is up; in the camera's frame that is the last row of its rotation.
        prepared = preprocess(cloud, preprocessing(site), pose[2, :3])
        views.append((prepared, Truth(semantic, np.zeros(len(cloud), np.int32))))
    return views


def label_quality(
    site: Site, scenes: list[tuple[Prepared, Truth]], names: list[str], classes: int
) -> list[dict]:
    """Of the pseudo labels that each round left: mean IoU where there is one, and the share of
    voxels that have one."""
    rows = []
    for number in range(finished_rounds(site)):
        total, covered, voxels = np.zeros((classes, classes), np.int64), 0, 0
        with np.load(Path(round_folder(site, number)) / "labels.npz") as arrays:
            for name, (prepared, truth) in zip(names, scenes, strict=True):
                label = arrays[f"{name}/label"][prepared.supervoxel]
                true = majority(truth.semantic, prepared.voxel_of_point, len(prepared.xyz))
                true = np.where(label >= 0, true, -1).astype(np.int32)
                total += confusion(true, label, classes)
                covered, voxels = covered + int((label >= 0).sum()), voxels + len(label)
        rows.append(
            {"round": number, "miou": round(miou(total), 4), "coverage": round(covered / voxels, 4)}
        )
    return rows
