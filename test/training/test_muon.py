import pytest
import torch

from offline_training.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(432, 16), (16, 432), (96, 64)])
def test_a_matrix_becomes_nearly_orthogonal(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    after = orthogonal(matrix)
    values = torch.linalg.svdvals(after)
    assert values.min() > 0.5 and values.max() < 1.2
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    assert (after * (left @ right)).sum() / min(shape) > 0.7  # and the closest such one


def test_nothing_comes_of_no_gradient():
    assert not orthogonal(torch.zeros(27 * 4, 4)).any()


def test_a_step_changes_every_weight_by_the_rate():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(27, 8, 16))
    before = weight.detach().clone()
    idle = torch.nn.Parameter(torch.ones(8, 4, 4))
    optimizer = Muon([weight, idle], lr=0.01, weight_decay=0.0)
    weight.grad = torch.randn_like(weight) * 1e-6
    optimizer.step()
    change = (weight.detach() - before).square().mean().sqrt()
    assert 0.007 < change < 0.012
    assert (idle == 1).all()


def test_it_learns_where_one_direction_drowns_all_others():
    torch.manual_seed(0)
    inputs = torch.randn(500, 8) * torch.tensor([100.0, *[1.0] * 7])
    wanted = torch.randn(1, 8, 4)
    weight = torch.nn.Parameter(torch.zeros(1, 8, 4))
    optimizer = Muon([weight], lr=0.0, weight_decay=0.0)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        optimizer.zero_grad()
        (inputs @ weight[0] - inputs @ wanted[0]).square().mean().backward()
        optimizer.step()
    assert (weight - wanted).abs().max() < 0.1


def test_a_step_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    weight = torch.nn.Parameter(torch.ones(8, 4, 4))
    weight.grad = torch.ones_like(weight)
    try:
        torch.set_num_threads(2)
        Muon([weight], lr=0.01, weight_decay=0.0).step()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
