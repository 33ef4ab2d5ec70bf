"""Networks and optimisers on disk: safetensors, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from otoc_ros.core.errors import InputError
from otoc_ros.site.files import atomic_write


def save_networks(path: Path, networks: dict[str, nn.Module]) -> None:
    """Write the weights of named networks into one file."""
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    atomic_write(path, safetensors.torch.save(tensors))


def load_networks(path: Path, networks: dict[str, nn.Module]) -> None:
    """Read what `save_networks` wrote.

    Raises:
        InputError: the file is missing, damaged, or of networks of another shape.
    """
    tensors = _read(path)
    for name, network in networks.items():
        state = {
            key.removeprefix(f"{name}."): value
            for key, value in tensors.items()
            if key.startswith(f"{name}.")
        }
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"{path} holds another network ({reason}); train the site again without --resume"
            ) from error


def save_progress(
    path: Path,
    networks: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    scaler: torch.amp.GradScaler,
    losses: list[list[float]],
) -> None:
    """Write all that a later process needs to go on after the steps that had these losses."""
    tensors: dict[str, Tensor] = {"losses": torch.tensor(losses, dtype=torch.float64)}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            tensors[f"{name}.{key}"] = value.detach().cpu().contiguous()
    for name, optimizer in optimizers.items():
        for row, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{name}.{row}.{key}"] = value.detach().cpu().contiguous()
    for key, value in scaler.state_dict().items():
        tensors[f"scaler.{key}"] = torch.tensor(value)
    atomic_write(path, safetensors.torch.save(tensors))


def load_progress(
    path: Path,
    networks: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    scaler: torch.amp.GradScaler,
) -> list[list[float]]:
    """Read what `save_progress` wrote; returns the losses of the steps done."""
    load_networks(path, networks)
    tensors = _read(path)
    for name, optimizer in optimizers.items():
        whole = optimizer.state_dict()
        for key, value in tensors.items():
            if key.startswith(f"optimizer.{name}."):
                row, part = key.removeprefix(f"optimizer.{name}.").split(".")
                whole["state"].setdefault(int(row), {})[part] = value
        optimizer.load_state_dict(whole)
    if scaler.is_enabled():
        scaler.load_state_dict(
            {
                key.removeprefix("scaler."): value.item()
                for key, value in tensors.items()
                if key.startswith("scaler.")
            }
        )
    losses: list[list[float]] = tensors["losses"].tolist()
    return losses


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; train the site again without --resume") from error
    except Exception as error:  # safetensors has an error type of its own for damage
        raise InputError(
            f"{path} is damaged ({error}); train the site again without --resume"
        ) from error
