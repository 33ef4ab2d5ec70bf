import numpy as np
import pytest
import torch
from rich.progress import Progress
from small_site import make_small_site
from torch.nn import functional

from offline_training import self_training
from offline_training.beliefs import believe, network_scores, propagated
from offline_training.bundle import export_bundle
from offline_training.checkpoint import load_networks
from offline_training.labels import clicked_labels
from offline_training.losses import DescribedSupervoxels, propagation_loss
from offline_training.networks import EMBEDDING, PrototypeBank
from offline_training.rounds import fitted_confidence
from offline_training.scenes import load_scene
from offline_training.self_training import (
    Networks,
    preprocessing,
    round_folder,
    round_metrics,
    train_site,
)
from offline_training.settings import preset
from offline_training.transformer import TransformerPropagation
from otoc_ros.cli import main
from otoc_ros.core.confidence import tempered
from otoc_ros.core.errors import InputError
from otoc_ros.perception import Perception

CPU = torch.device("cpu")
QUICK = preset("tiny").model_copy(
    update={"width": 8, "levels": 2, "rounds": 1, "steps": 8, "max_voxels": 3000}
)
TRANSFORMER = QUICK.model_copy(
    update={"propagation": QUICK.propagation.model_copy(update={"kind": "transformer"})}
)


def supervoxels(count, width, bank):
    """Super-voxels of four classes that are told apart by their likeness to a prototype alone."""
    mixer = torch.randn(EMBEDDING, width, generator=torch.Generator().manual_seed(1))
    label = torch.randint(4, (count,))
    feature = torch.relu(bank.prototype[label] @ mixer + 0.1 * torch.randn(count, width))
    empty = feature.new_zeros(count, 0)
    return DescribedSupervoxels(feature, empty, empty, label, torch.ones(count))


def test_it_learns_classes_and_theta_learns_from_it_but_the_bank_does_not():
    torch.manual_seed(0)
    bank = PrototypeBank(5)
    bank.update(functional.normalize(torch.randn(4, EMBEDDING), dim=1), torch.arange(4))
    transformer = TransformerPropagation(16, 5)
    groups = supervoxels(300, 16, bank)
    optimizer = torch.optim.Adam(transformer.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        propagation_loss(transformer, bank, groups).backward()
        optimizer.step()
    unseen = supervoxels(100, 16, bank)
    logits = transformer.eval()(unseen.feature, bank.prototype, bank.seen)
    assert (logits.argmax(dim=1) == unseen.label).float().mean() > 0.9
    feature = unseen.feature.requires_grad_()
    silent = unseen._replace(label=torch.full_like(unseen.label, -1), weight=torch.zeros(100))
    assert propagation_loss(transformer, bank, silent).item() == 0
    propagation_loss(transformer, bank, unseen._replace(feature=feature)).backward()
    assert feature.grad.abs().sum() > 0
    assert not bank.prototype.requires_grad


def test_attention_reads_the_prototypes_and_leaves_out_classes_that_have_none():
    torch.manual_seed(0)
    transformer = TransformerPropagation(16, 3).eval()
    feature, prototypes = torch.rand(7, 16), torch.randn(3, EMBEDDING)
    seen = torch.tensor([True, True, False])
    before = transformer(feature, prototypes, seen)
    moved = prototypes.clone()
    moved[2] += 1
    torch.testing.assert_close(transformer(feature, moved, seen), before)
    moved[1] += torch.randn(EMBEDDING)
    assert (transformer(feature, moved, seen) - before).abs().max() > 1e-3


@pytest.fixture(scope="module")
def transformer_site(tmp_path_factory):
    site = make_small_site(tmp_path_factory.mktemp("transformer") / "site", train=2, val=1)
    train_site(site, TRANSFORMER, CPU, Progress(disable=True))
    return site


def test_the_live_pipeline_runs_the_transformer_that_was_trained(transformer_site, tmp_path):
    networks = Networks.fresh(transformer_site, TRANSFORMER, CPU)
    load_networks(round_folder(transformer_site, 0) / "networks.safetensors", networks.named())
    scene = transformer_site.scenes(split="val")[0]
    loaded = load_scene(scene, preprocessing(transformer_site))
    scores = network_scores(networks.theta, networks.relation, loaded.prepared, CPU)
    scores = propagated(networks.transformer, networks.relation.bank, scores)
    nobody = clicked_labels((), loaded.prepared.n_supervoxels)
    belief = believe(loaded, scores, nobody, None, TRANSFORMER.propagation)
    belief = tempered(belief, fitted_confidence(transformer_site, 0).temperature)

    perception = Perception(export_bundle(transformer_site, tmp_path / "bundle").path)
    assert perception.propagation.kind == "transformer"
    seen = perception.see(scene.cloud(), np.array([0.0, 0.0, 1.0]))
    assert seen.neighbours.shape == (loaded.prepared.n_supervoxels, 0)
    live = perception.understand(scene.cloud(), np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(live.belief, belief, atol=1e-4)
    assert perception.label(seen, perception.untaught).confidence.max() > 0


def test_the_graph_has_no_transformer(transformer_site):
    assert Networks.fresh(transformer_site, QUICK, CPU).transformer is None
    assert round_metrics(transformer_site, 0)["losses"]["propagation"] > 0


@pytest.mark.parametrize("kind", ["graph", "transformer"])
def test_the_command_line_chooses_what_propagates(tmp_path, monkeypatch, kind):
    site = make_small_site(tmp_path / "site", train=1, val=0)
    chosen = []

    def refuse(site, settings, device, progress, *, resume):
        chosen.append(settings.propagation.kind)
        raise InputError("enough is known")

    monkeypatch.setattr(self_training, "train_site", refuse)
    given = [] if kind == "graph" else ["--propagation", kind]
    with pytest.raises(SystemExit) as stopped:
        main(["train", str(site.path), "--preset", "tiny", *given])
    assert stopped.value.code == 2
    assert chosen == [kind]
