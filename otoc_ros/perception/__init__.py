"""Bundle + cloud -> labelled cloud."""

from otoc_ros.perception.pipeline import DetectedObject, LabelledCloud, Perception

__all__ = ["DetectedObject", "LabelledCloud", "Perception"]
