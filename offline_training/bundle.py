"""From trained rounds to the bundle that a robot runs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from offline_training.border_fit import fit_borders, held_back_parting, see_borders
from offline_training.checkpoint import load_networks
from offline_training.clustering_fit import fit_clustering, labelled_scenes
from offline_training.export import OPSET, Storage, write_head_onnx, write_sparse_onnx
from offline_training.export_propagator import graph_onnx, transformer_onnx
from offline_training.model import Networks
from offline_training.networks import UNSEEN, PrototypeBank
from offline_training.reach import ReachModel
from offline_training.rounds import (
    finished_rounds,
    fitted_confidence,
    preprocessing,
    round_folder,
    training_settings,
)
from otoc_ros.core.border_look import BORDER_FEATURES
from otoc_ros.core.clustering import ClusteringSettings
from otoc_ros.core.errors import InputError
from otoc_ros.core.propagation import PropagationSettings
from otoc_ros.perception import Perception
from otoc_ros.perception.pipeline import BORDERS
from otoc_ros.site.bundle import Bundle, BundleInfo, onnx_metadata, write_bundle
from otoc_ros.site.site import Site


def export_bundle(site: Site, folder: Path, storage: Storage = "float32") -> Bundle:
    """Write the networks of the last finished round as a bundle.

    What keeps objects apart is learnt and chosen on the site's training scenes, seen through the
    very bundle.

    Args:
        storage: how weights lie in the files, see `write_sparse_onnx`.

    Raises:
        InputError: the site has no finished round, or the folder cannot take the bundle.
    """
    known = ReachModel.shipped().borders()
    with tempfile.TemporaryDirectory() as scratch:
        draft = _export(site, Path(scratch) / "bundle", storage, ClusteringSettings(), known)
        perception = Perception(draft.path)
        scenes = labelled_scenes(perception, site)
    seen_borders = [see_borders(seen.prepared, said.instance) for seen, said in scenes]
    parted = [
        (seen._replace(parting=apart), said)
        for (seen, said), apart in zip(scenes, held_back_parting(known, seen_borders), strict=True)
    ]
    clustering = fit_clustering(parted, perception.thing, perception.clustering)
    borders = fit_borders(known, seen_borders)
    return _export(site, folder, storage, clustering, borders)


def _export(
    site: Site,
    folder: Path,
    storage: Storage,
    clustering: ClusteringSettings,
    borders: torch.nn.Module,
) -> Bundle:
    settings = training_settings(site)
    rounds = finished_rounds(site)
    if rounds == 0:
        raise InputError(
            f"site {site.path} has no finished round; go on with `otoc train --resume`"
        )
    networks = Networks.fresh(site, settings, torch.device("cpu"))
    load_networks(round_folder(site, rounds - 1) / "networks.safetensors", networks.named())
    theta, relation = networks.theta.eval(), networks.relation.eval()
    prepared = preprocessing(site)
    info = BundleInfo(
        name=site.config.name,
        classes=site.config.classes,
        preprocessing=prepared.model_dump(mode="json"),
        propagation=settings.propagation.model_dump(mode="json"),
        clustering=clustering.model_dump(mode="json"),
        confidence=fitted_confidence(site, rounds - 1).model_dump(mode="json"),
        levels=settings.levels,
        opset=OPSET,
    )
    metadata = onnx_metadata(info)
    prototypes = json.dumps(relation.bank.prototype.tolist())
    with tempfile.TemporaryDirectory() as scratch:
        unet, embedding = Path(scratch) / "unet.onnx", Path(scratch) / "relation.onnx"
        heads = {
            "logits": theta.classifier,
            "feature": torch.nn.Identity(),
            "offset": theta.offset,
        }
        columns = len(prepared.features)
        write_sparse_onnx(unet, theta.unet, heads, columns, metadata, storage)
        write_head_onnx(
            embedding,
            "embedding",
            relation.embed,
            theta.unet.width + columns,
            {**metadata, "otoc_prototypes": prototypes},
        )
        together = Path(scratch) / BORDERS
        write_head_onnx(together, "together", borders, BORDER_FEATURES, metadata)
        files = {
            BORDERS: together.read_bytes(),
            "unet.onnx": unet.read_bytes(),
            "relation.onnx": embedding.read_bytes(),
            "propagator.onnx": _propagator(networks, settings.propagation, metadata),
        }
    return write_bundle(folder, info, files)


def _propagator(
    networks: Networks, settings: PropagationSettings, metadata: dict[str, str]
) -> bytes:
    bias = _bias(networks.relation.bank)
    if networks.transformer is None:
        return graph_onnx(bias, settings, metadata)
    return transformer_onnx(networks.transformer.eval(), bias, settings, metadata)


def _bias(bank: PrototypeBank) -> NDArray[np.float32]:
    return torch.where(bank.seen, bank.bias, torch.tensor(UNSEEN)).numpy()
