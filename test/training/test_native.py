import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from offline_training.sparse import Maps, convolve, only_torch
from offline_training.unet import UNet
from otoc_ros.core import native

ROOT = Path(__file__).parents[2]
kernel = native.library()
built = pytest.mark.skipif(
    kernel is None, reason="the C++ kernel is not built: python setup.py build_ext --inplace"
)


def crumpled(count, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * (20, 20, 2)
    return np.unique((points - points.min(0)).astype(np.int32), axis=0)


@pytest.fixture(scope="module")
def level():
    return Maps.build(crumpled(3000), 2).levels[0]


@pytest.fixture
def instruction_set(request):
    if kernel.otoc_use_instruction_set(request.param) != request.param:
        pytest.skip(f"this machine has no {native.INSTRUCTION_SETS[request.param]}")
    yield
    kernel.otoc_use_instruction_set(len(native.INSTRUCTION_SETS))


def value_and_gradients(pairs, c_in, c_out):
    random = torch.Generator().manual_seed(c_in)
    x = torch.randn(pairs.n_inputs, c_in, generator=random, requires_grad=True)
    weight = torch.randn(
        27 if pairs.n_inputs == pairs.n_outputs else 8,
        c_in,
        c_out,
        generator=random,
        requires_grad=True,
    )
    y = convolve(x, weight, pairs)
    direction = torch.randn(y.shape, generator=random)
    return y.detach(), *torch.autograd.grad(y, (x, weight), direction)


@built
@pytest.mark.parametrize(
    "instruction_set", range(3), indirect=True, ids=native.INSTRUCTION_SETS.__getitem__
)
@pytest.mark.parametrize("kind", ["same", "down", "up"])
@pytest.mark.parametrize(
    ("c_in", "c_out"), [(6, 16), (16, 16), (32, 48), (112, 80), (5, 3), (1, 25)]
)
def test_value_and_gradients_are_those_of_torch(level, instruction_set, kind, c_in, c_out):
    pairs = getattr(level, kind)
    ours = value_and_gradients(pairs, c_in, c_out)
    with only_torch():
        expected = value_and_gradients(pairs, c_in, c_out)
    for name, mine, theirs in zip(("y", "dx", "dW"), ours, expected, strict=True):
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max(), name


@built
def test_the_number_of_threads_changes_nothing(level):
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(value_and_gradients(level.same, 48, 48))
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


@built
def test_bias_addend_and_relu(level):
    random = np.random.default_rng(0)
    x, weight, bias, addend = (
        random.normal(size=size).astype(np.float32)
        for size in ((level.down.n_inputs, 8), (8, 8, 21), (21,), (level.down.n_outputs, 21))
    )
    plain = native.convolve(x, weight, level.down.list)
    fused = native.convolve(x, weight, level.down.list, bias=bias, addend=addend, relu=True)
    np.testing.assert_allclose(fused, np.maximum(plain + bias + addend, 0), atol=1e-5)


@built
def test_a_whole_network_agrees():
    coords = crumpled(3000)
    torch.manual_seed(0)
    net, maps, x = UNet(4, 16, 4), Maps.build(coords, 4), torch.randn(len(coords), 4)
    net(x, maps)
    net.eval()
    with torch.no_grad():
        ours = net(x, maps)
        with only_torch():
            torch.testing.assert_close(ours, net(x, maps), atol=1e-4, rtol=0)


@built
def test_several_callers_at_once(level):
    expected = value_and_gradients(level.same, 32, 32)
    with ThreadPoolExecutor(4) as callers:
        for result in callers.map(lambda _: value_and_gradients(level.same, 32, 32), range(12)):
            assert all(map(torch.equal, result, expected))


@built
def test_a_forked_process_computes_too(level):
    # Straight to the kernel: torch's own threads do not survive a fork.
    pairs = level.same.list
    x, weight = np.ones((pairs.n_inputs, 64), np.float32), np.ones((27, 64, 64), np.float32)

    def total():
        return float(native.convolve(x, weight, pairs, threads=2).sum())

    expected = total()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if total() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@built
def test_wrong_sizes_are_refused_before_memory_is_touched(level):
    with pytest.raises(ValueError, match="maps and weights"):
        convolve(torch.ones(3, 16), torch.ones(27, 16, 16), level.same)


def test_without_the_kernel_torch_computes_and_says_so_once(tmp_path):
    program = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
from otoc_ros.core import native
native.MODULE = "otoc_ros.core._not_built"
import numpy as np, torch
from offline_training.sparse import Maps
from offline_training.unet import UNet
maps = Maps.build(np.zeros((1, 3), np.int32), 2)
for _ in range(2):
    UNet(1, 4, 2)(torch.ones(1, 1), maps).sum().backward()
"""
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("was not built") == 1


@pytest.mark.parametrize("compiler", ["g++", "clang++", "aarch64-linux-gnu-g++"])
def test_it_compiles_without_warnings(compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    flags = ["-std=c++17", "-O1", "-ffp-contract=fast", "-fPIC", "-shared", "-pthread"]
    strict = ["-Wall", "-Wextra", "-Werror"]
    source = str(ROOT / "native/sparse_conv.cpp")
    subprocess.run([compiler, *flags, *strict, source, "-o", str(tmp_path / "x.so")], check=True)
