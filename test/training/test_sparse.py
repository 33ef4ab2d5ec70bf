import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import conv3d, conv_transpose3d

from offline_training.sparse import DownConv, Maps, SubmanifoldConv, UpConv, convolve
from offline_training.unet import UNet
from otoc_ros.core.voxels import kernel_maps

SIDE = 8


def random_coords(share, seed=0, batches=2):
    rng = np.random.default_rng(seed)
    return np.argwhere(rng.random((batches, SIDE, SIDE, SIDE)) < share).astype(np.int32)


def dense(features, coords, side):
    grid = features.new_zeros(2, side, side, side, features.shape[1])
    grid[tuple(torch.from_numpy(coords.astype(np.int64)).T)] = features
    return grid.permute(0, 4, 1, 2, 3)


def rows(grid, coords):
    return grid.permute(0, 2, 3, 4, 1)[tuple(torch.from_numpy(coords.astype(np.int64)).T)]


def as_dense_kernel(weight):
    side = {27: 3, 8: 2}[len(weight)]
    return weight.unflatten(0, (side, side, side)).permute(4, 3, 0, 1, 2)


def in_double(module):
    return module.double(), module.weight.detach().double()


@pytest.fixture
def scene():
    coords = random_coords(0.2)
    return coords, kernel_maps(coords, 2), Maps.build(coords, 2).levels[0]


def test_the_submanifold_convolution_is_a_dense_one(scene):
    coords, _, level = scene
    layer, weight = in_double(SubmanifoldConv(3, 5))
    x = torch.randn(len(coords), 3, dtype=torch.float64)
    expected = conv3d(dense(x, coords, SIDE), as_dense_kernel(weight), padding=1)
    torch.testing.assert_close(layer(x, level), rows(expected, coords))


def test_the_strided_convolutions_are_dense_ones(scene):
    coords, tables, level = scene
    coarse = tables[1].coords
    down, weight = in_double(DownConv(3, 5))
    x = torch.randn(len(coords), 3, dtype=torch.float64)
    expected = conv3d(dense(x, coords, SIDE), as_dense_kernel(weight), stride=2)
    torch.testing.assert_close(down(x, level), rows(expected, coarse))

    up, weight = in_double(UpConv(5, 3))
    y = torch.randn(len(coarse), 5, dtype=torch.float64)
    kernel = as_dense_kernel(weight).transpose(0, 1)
    expected = conv_transpose3d(dense(y, coarse, SIDE // 2), kernel, stride=2)
    torch.testing.assert_close(up(y, level), rows(expected, coords))


@pytest.mark.parametrize(("kind", "offsets"), [("same", 27), ("down", 8), ("up", 8)])
def test_gradients(kind, offsets):
    level = Maps.build(random_coords(0.02), 2).levels[0]
    pairs = getattr(level, kind)
    x = torch.randn(pairs.n_inputs, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(offsets, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: convolve(x, w, pairs), (x, weight))


def test_a_batch_gives_what_its_clouds_give_alone():
    coords = random_coords(0.2)
    net = UNet(4, 8, 3).eval()
    x = torch.randn(len(coords), 4)
    with torch.no_grad():
        together = net(x, Maps.build(coords, 3))
        for batch in range(2):
            mine = coords[:, 0] == batch
            alone = net(x[torch.from_numpy(mine)], Maps.build(coords[mine][:, 1:], 3))
            torch.testing.assert_close(together[torch.from_numpy(mine)], alone)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_smallest_clouds_train(count):
    coords = np.array([[0, 0, 0], [0, 0, 1], [9, 9, 9]], np.int32)[:count]
    net = UNet(1, 4, 4)
    net(torch.ones(count, 1), Maps.build(coords, 4)).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


def test_a_network_learns_what_only_the_neighbourhood_tells():
    coords = random_coords(0.3, seed=1)
    maps = Maps.build(coords, 2)
    crowded = torch.from_numpy((kernel_maps(coords, 1)[0].neighbours >= 0).sum(1) > 8).float()
    torch.manual_seed(0)
    net = UNet(1, 8, 2)
    head = torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam(itertools.chain(net.parameters(), head.parameters()), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        logits = head(net(torch.ones(len(coords), 1), maps))[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, crowded)
        loss.backward()
        optimizer.step()
    assert ((logits > 0) == crowded.bool()).float().mean() > 0.95
