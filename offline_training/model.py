"""All networks of a site."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from offline_training.networks import RelationNet, SemanticNet
from offline_training.rounds import preprocessing
from offline_training.settings import TrainingSettings
from offline_training.transformer import TransformerPropagation
from otoc_ros.site.site import Site


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks of a site; `transformer` is None where the graph propagates."""

    theta: SemanticNet
    relation: RelationNet
    transformer: TransformerPropagation | None = None

    @classmethod
    def fresh(cls, site: Site, settings: TrainingSettings, device: torch.device) -> Networks:
        """New networks; their first weights depend on the seed alone."""
        torch.manual_seed(settings.seed)
        columns, classes = len(preprocessing(site).features), len(site.config.classes)
        theta = SemanticNet(columns, classes, settings.width, settings.levels).to(device)
        relation = RelationNet(columns, classes, settings.width).to(device)
        if settings.propagation.kind == "graph":
            return cls(theta, relation)
        return cls(theta, relation, TransformerPropagation(settings.width, classes).to(device))

    def named(self) -> dict[str, torch.nn.Module]:
        networks: dict[str, torch.nn.Module] = {"theta": self.theta, "relation": self.relation}
        if self.transformer is not None:
            networks["transformer"] = self.transformer
        return networks
