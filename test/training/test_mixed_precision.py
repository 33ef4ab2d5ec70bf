"""Half precision takes the steps of float32, and falls back from gradients that are too large."""

import pytest
import safetensors.torch
import torch
from one_step import one_step
from small_site import make_small_site
from stop_at import StopAt

from offline_training import optimise as optimise_module
from offline_training.model import Networks
from offline_training.rounds import round_folder
from offline_training.self_training import Interrupted, train_site
from offline_training.settings import preset

CPU = torch.device("cpu")
QUICK = preset("tiny").model_copy(
    update={"width": 8, "levels": 2, "rounds": 1, "steps": 3, "max_voxels": 3000, "mixed": True}
)


def test_a_step_in_half_precision_is_nearly_that_of_float32(tmp_path):
    site = make_small_site(tmp_path / "site", train=3, val=0)
    full = one_step(site, dtype=torch.float32)
    half = one_step(site, dtype=torch.float32, mixed=True)
    for name in ("semantic", "offset", "contrast", "guidance", "propagation"):
        assert half[name].item() == pytest.approx(full[name].item(), rel=0.02, abs=1e-3), name
    ways = []
    for name, expected in full.items():
        assert half[name].dtype == expected.dtype, name
        if name.startswith("gradient theta") and expected.norm() > 1e-3:
            flat = [each.flatten() for each in (half[name], expected)]
            ways.append(torch.nn.functional.cosine_similarity(*flat, dim=0))
    assert len(ways) > 20 and torch.stack(ways).median() > 0.98
    assert (half["semantic"] - full["semantic"]).abs() > 1e-7  # it was computed in half


@pytest.mark.parametrize(("size", "scale", "moves"), [(1.0, 2.0**16, True), (1e30, 2.0**14, False)])
def test_a_gradient_too_large_for_half_precision_moves_nothing_and_lowers_the_scale(
    tmp_path, monkeypatch, size, scale, moves
):
    site = make_small_site(tmp_path / "site", train=2, val=0)
    before = first_weights(site)

    def large(*args):
        losses = step_losses(*args)
        return losses._replace(total=losses.total * size)

    step_losses = optimise_module.step_losses
    monkeypatch.setattr(optimise_module, "step_losses", large)
    monkeypatch.setattr(optimise_module, "_warm_cosine", lambda *_: 1.0)
    with pytest.raises(Interrupted):
        train_site(site, QUICK, CPU, StopAt(2))
    saved = safetensors.torch.load_file(round_folder(site, 0) / "progress.safetensors")
    assert saved["scaler.scale"] == scale
    changed = [not torch.equal(saved[f"theta.{name}"], value) for name, value in before.items()]
    assert all(changed) if moves else not any(changed)


def first_weights(site):
    theta = Networks.fresh(site, QUICK, CPU).theta
    return {name: value.detach() for name, value in theta.named_parameters()}
