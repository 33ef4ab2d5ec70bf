"""A window without a browser: speaks viser's protocol over a websocket that can be broken."""

from __future__ import annotations

import re
import socket
import struct
from contextlib import suppress
from typing import Any

import msgspec.msgpack
import viser
import zstandard
from viser import _messages as wire
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

Position = tuple[float, float, float]
SHOWN = re.compile(r"<b>(\d+) clicks?</b> here")
PATIENCE = 120.0  # seconds; a machine that others use


class RawWindow:
    """One window on a running page; it clicks, and notes how many clicks the page has told it.

    Args:
        link: of the page. position: from where the window looks.
    """

    def __init__(self, link: str, position: Position = (0.0, 0.0, 5.0)) -> None:
        self._socket = connect(
            link.replace("http", "ws", 1),
            subprotocols=[Subprotocol(f"viser-v{viser.__version__}")],
            max_size=None,
            open_timeout=PATIENCE,
        )
        self.told: int | None = None  # the count of clicks in the page's status; None: not yet
        self.lights = 0  # how often something has lit up
        self.placed = 0  # how often it was told from where to look
        self.look_from(position)  # the page begins once it knows this

    def look_from(self, position: Position) -> None:
        """Say from where the window looks."""
        self._send(
            wire.ViewerCameraMessage(
                wxyz=(1.0, 0.0, 0.0, 0.0),
                position=position,
                fov=1.0,
                near=0.01,
                far=1000.0,
                image_height=800,
                image_width=1280,
                look_at=(0.0, 0.0, 0.0),
                up_direction=(0.0, 0.0, 1.0),
            )
        )

    def click(self, origin: Position, direction: Position, place: tuple[float, float]) -> None:
        """Click along a ray. place: in the window, each 0..1."""
        self._send(
            wire.ScenePointerMessage(
                event_type="click",
                ray_origin=origin,
                ray_direction=direction,
                screen_pos=(place,),
                modifier=None,
            )
        )

    def hear(self, count: int) -> None:
        """Read what the page sends until it has told of this many clicks."""
        while self.told is None or self.told < count:
            self._note(self._socket.recv(timeout=PATIENCE))

    def see_light(self) -> None:
        """Read what the page sends until something lights up that did not before."""
        before = self.lights
        while self.lights == before:
            self._note(self._socket.recv(timeout=PATIENCE))

    def cut(self) -> int:
        """Break the connection without a word, once what has come is read; the count told last."""
        with suppress(TimeoutError, ConnectionClosed):
            while True:
                self._note(self._socket.recv(timeout=0))
        raw: socket.socket = self._socket.socket
        # Reset, not closed: what the page sends from now on is lost.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.shutdown(socket.SHUT_RD)
        raw.close()
        return self.told or 0

    def _send(self, message: wire.Message) -> None:
        self._socket.send(msgspec.msgpack.encode(message.as_serializable_dict([])))

    def _note(self, frame: Any) -> None:
        packed = int.from_bytes(frame[8:16], "little")
        unpacked = zstandard.decompress(frame[16 : 16 + packed])
        for message in msgspec.msgpack.decode(unpacked)["messages"]:
            text = str(message.get("props") or message.get("updates") or "")
            self.placed += message["type"] == "SetCameraPositionMessage"
            self.lights += str(message.get("name", "")).startswith("/lit/")
            for number in SHOWN.findall(text):
                self.told = int(number)
