"""Bundle + cloud -> labelled cloud; and a person's corrections of it."""

from otoc_ros.perception.bank import Bank
from otoc_ros.perception.corrections import Corrections
from otoc_ros.perception.identity import SteadyIdentity
from otoc_ros.perception.pipeline import (
    DetectedObject,
    LabelledCloud,
    Perception,
    SeenCloud,
    Understanding,
)
from otoc_ros.perception.shown import Shown, ShownClouds

__all__ = [
    "Bank",
    "Corrections",
    "DetectedObject",
    "LabelledCloud",
    "Perception",
    "SeenCloud",
    "Shown",
    "ShownClouds",
    "SteadyIdentity",
    "Understanding",
]
