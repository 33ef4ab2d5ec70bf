"""Simulated, labelled rooms: the test bed that needs no dataset.

Every figure measured on them says so and carries `generator_hash()`.
"""

from offline_training.rooms.camera import Camera, Frame
from offline_training.rooms.classes import CLASS_NAMES
from offline_training.rooms.export import make_rooms, room_seed
from offline_training.rooms.room import Room, camera_clouds, generator_hash, make_room

__all__ = [
    "CLASS_NAMES",
    "Camera",
    "Frame",
    "Room",
    "camera_clouds",
    "generator_hash",
    "make_room",
    "make_rooms",
    "room_seed",
]
