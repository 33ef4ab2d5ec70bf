"""spconv over our pairs gives what PyTorch gives, on the CPU, where its own networks run too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offline_training.spconv_engine import spconv_function

ROOT = Path(__file__).parents[2]

# In a process of its own, of one thread: with more, spconv 2.3 on a CPU is wrong or hangs.
PROGRAM = """
import numpy as np, torch
from offline_training.sparse import Maps, convolve, only_torch
from offline_training.spconv_engine import spconv_convolve
from spconv.pytorch import functional, ops
functional.get_current_stream = ops.get_current_stream = lambda: 0  # its backward asks for CUDA's
torch.set_num_threads(1)
torch.manual_seed(0)
coords = np.argwhere(np.random.default_rng(0).random((7, 7, 7)) < 0.3).astype(np.int32)
level = Maps.build(coords, 2).levels[0]
for kind, offsets in (("same", 27), ("down", 8), ("up", 8)):
    pairs = getattr(level, kind)
    x = torch.randn(pairs.n_inputs, 6, requires_grad=True)
    w = torch.randn(offsets, 6, 5, requires_grad=True)
    with only_torch():
        y = convolve(x, w, pairs)
    z = spconv_convolve(x, w, *pairs.table, pairs.n_outputs)
    direction = torch.randn(y.shape)
    ours = (y, *torch.autograd.grad(y, (x, w), direction))
    theirs = (z, *torch.autograd.grad(z, (x, w), direction))
    for name, a, b in zip(("y", "dx", "dW"), ours, theirs):
        assert (a - b).abs().max() <= 1e-5 * a.abs().max(), (kind, name)
print("equal")
"""


@pytest.mark.skipif(spconv_function() is None, reason="spconv is not installed")
def test_value_and_gradients_are_those_of_torch():
    run = [sys.executable, "-c", PROGRAM]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("equal")
