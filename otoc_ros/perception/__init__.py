"""Bundle + cloud -> labelled cloud."""

from otoc_ros.perception.pipeline import DetectedObject, LabelledCloud, Perception, Understanding

__all__ = ["DetectedObject", "LabelledCloud", "Perception", "Understanding"]
