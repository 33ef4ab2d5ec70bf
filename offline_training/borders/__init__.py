"""What parts objects anywhere, learnt once for all sites: `tools/train_borders.py`."""

from offline_training.borders.fit import KnownBorders, fit_borders, known_borders
from offline_training.borders.shipped import parting, shipped_borders

__all__ = ["KnownBorders", "fit_borders", "known_borders", "parting", "shipped_borders"]
