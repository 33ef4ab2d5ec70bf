"""The door in front of the page: who may come in, checked before viser sees a request.

Away from this machine a secret in the link is asked for. On this machine no secret is needed, but
another website open in the same browser must not reach the page: the host and the origin that the
browser names have to be this machine.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from urllib.parse import urlsplit

HEAD_LIMIT = 32_768  # bytes of a request's head
HEAD_SECONDS = 10.0
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def new_token() -> str:
    """128 random bits for a link."""
    return secrets.token_urlsafe(16)


class Gate:
    """Relays web and websocket connections to a server on this machine.

    Args:
        port: of that server. token: first part of the path of every request; empty: none needed.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which carries one request."""
        with suppress(
            OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError
        ):
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
                answer = self.admit(head)
                if isinstance(answer, str):
                    writer.write(_reply(answer))
                    await writer.drain()
                    return
                await self._relay(answer, reader, writer)
            finally:
                writer.close()

    def admit(self, head: bytes) -> bytes | str:
        """The head to pass on, or the status line (with further headers) of a refusal."""
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or parts[0] != "GET" or not parts[1].startswith("/"):
            return "400 Bad Request"
        headers = [line.partition(":") for line in lines[1:] if line]
        said = {name.strip().lower(): value.strip() for name, _, value in headers}
        if "origin" in said and urlsplit(said["origin"]).netloc != said.get("host"):
            return "403 Forbidden"
        if not self._token:
            if urlsplit(f"//{said.get('host', '')}").hostname not in LOCAL_NAMES:
                return "403 Forbidden"
            return head
        given, slash, rest = parts[1][1:].partition("/")
        if not secrets.compare_digest(given.encode("latin-1"), self._token.encode()):
            return "403 Forbidden"
        if not slash and "upgrade" not in said:  # the page's own links are relative
            return f"308 Permanent Redirect\r\nLocation: /{self._token}/"
        lines[0] = f"GET /{rest} {parts[2]}"
        return "\r\n".join(lines).encode("latin-1")

    async def _relay(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            inner_writer.write(head)
            ways = [asyncio.create_task(_copy(inner_reader, writer))]
            if b"\r\nupgrade: websocket" in head.lower():
                # Only then: a second request on the connection would pass unchecked.
                ways.append(asyncio.create_task(_copy(reader, inner_writer)))
            _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in rest:
                way.cancel()
        finally:
            inner_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()


def _reply(status: str) -> bytes:
    text = "open the link that `otoc label` has printed\n" if status.startswith("403") else ""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
        f"Connection: close\r\n\r\n{text}"
    ).encode()
