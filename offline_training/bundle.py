"""From trained rounds to the bundle that a robot runs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from offline_training.borders import shipped_borders
from offline_training.checkpoint import load_networks
from offline_training.export import OPSET, Storage, write_head_onnx, write_sparse_onnx
from offline_training.export_propagator import graph_onnx, transformer_onnx
from offline_training.model import Networks
from offline_training.networks import UNSEEN, PrototypeBank
from offline_training.rounds import (
    finished_rounds,
    fitted_confidence,
    preprocessing,
    round_folder,
    training_settings,
)
from otoc_ros.core.clustering import ClusteringSettings
from otoc_ros.core.errors import InputError
from otoc_ros.core.propagation import PropagationSettings
from otoc_ros.core.seen_borders import SEEN_FEATURES
from otoc_ros.site.bundle import Bundle, BundleInfo, onnx_metadata, write_bundle
from otoc_ros.site.site import Site


def export_bundle(site: Site, folder: Path, storage: Storage = "float32") -> Bundle:
    """Write the networks of the last finished round as a bundle.

    Args:
        storage: how weights lie in the files, see `write_sparse_onnx`.

    Raises:
        InputError: the site has no finished round, or the folder cannot take the bundle.
    """
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
        clustering=ClusteringSettings().model_dump(mode="json"),
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
        borders = Path(scratch) / "borders.onnx"
        together = shipped_borders().plain()
        write_head_onnx(borders, "together", together, SEEN_FEATURES, metadata)
        files = {
            "borders.onnx": borders.read_bytes(),
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
