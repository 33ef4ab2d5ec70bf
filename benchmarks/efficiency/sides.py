"""The sides that are compared: what a run is taught, and which parts of the method it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from offline_training.settings import TrainingSettings
from otoc_ros.core.propagation import PropagationSettings

NO_PSEUDO: dict[str, Any] = {"accept": 1.01, "floor": 1.01}  # no belief is as sure as that
# Without the clicks' reach networks have their own word alone: the surest part of it is safe.
OWN_WORD: dict[str, Any] = {"reach": False, "floor": 0.4, "shares": (0.65, 0.65, 0.7, 0.8)}
NO_RELATION = {"unary_share": 1.0, "embedding_sigma": 1e3}
NO_GRAPH = {"weight": 0.0}


@dataclass(frozen=True)
class Side:
    """One training.

    Attributes:
        says: what it is, for the table.
        settings, propagation: what differs from the preset.
        clicks: an object; scenes: share of the training scenes that are clicked;
        wrong, border: shares of the clicks.
        alone: score what the U-Net says of each voxel, in place of the whole pipeline.
    """

    says: str
    settings: dict[str, Any] = field(default_factory=dict)
    propagation: dict[str, Any] = field(default_factory=dict)
    clicks: int = 1
    scenes: float = 1.0
    wrong: float = 0.0
    border: float = 0.0
    alone: bool = False

    def training(self, base: TrainingSettings, seed: int) -> TrainingSettings:
        """The side's settings on top of a preset's."""
        update = {"seed": seed, **self.settings}
        if self.propagation:
            known = base.propagation.model_dump() | self.propagation
            update["propagation"] = PropagationSettings(**known)
        return base.model_copy(update=update)


FULL = {"labels": "full"}
HEADLINE = {
    "full": Side("(a) full labels, every stage of ours", FULL),
    "full_unet": Side("(a') full labels, U-Net alone", FULL, alone=True),
    "clicked": Side(
        "(b) U-Net alone on clicked super-voxels", {"reach": False, **NO_PSEUDO}, alone=True
    ),
    "ours": Side("(f) ours: one click an object"),
}
PARTS = {
    "graph": Side("(c) rounds with the graph, no relation net", OWN_WORD, NO_RELATION),
    "relation": Side("(d) rounds, graph and relation net", OWN_WORD),
    "no_graph": Side("ours without the graph", {}, NO_GRAPH),
    "transformer": Side("(e) ours, transformer in place of the graph", {}, {"kind": "transformer"}),
}
CLICKS = {
    f"clicks_{count}": Side(f"{count} clicks an object", clicks=count) for count in (2, 4, 8)
} | {
    f"scenes_{round(100 * share)}": Side(f"{share:.0%} of the scenes clicked", scenes=share)
    for share in (0.1, 0.25, 0.5)
}
FAULTS = {
    "wrong_5": Side("5 % of the clicks name a wrong class", wrong=0.05),
    "wrong_10": Side("10 % of the clicks name a wrong class", wrong=0.1),
    "border": Side("every click on a border", border=1.0),
}
SENSORS = {
    "full_fused": Side("full labels, taught on fused scans alone", {**FULL, "views": 0.0}),
    "full_views": Side("full labels, taught on raw views alone", {**FULL, "views": 1.0}),
}
SIDES = HEADLINE | PARTS | CLICKS | FAULTS | SENSORS
