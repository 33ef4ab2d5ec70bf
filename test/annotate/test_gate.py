"""Who may reach the page: requests as browsers and strangers send them."""

import asyncio

import pytest

from otoc_ros.annotate.gate import Gate, new_token


def head(target: str, **headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "localhost"])
def test_this_machine_comes_in(host: str) -> None:
    asked = head("/assets/a.js", Host=host)
    assert Gate(1, "").admit(asked) == asked
    asked = head("/", Host=host, Origin=f"http://{host}", Upgrade="websocket")
    assert Gate(1, "").admit(asked) == asked


@pytest.mark.parametrize(
    "asked",
    [
        head("/", Host="evil.example:8080"),  # a name that was pointed to 127.0.0.1
        head("/", Host="localhost:8080", Origin="http://evil.example"),
        head("/", Host="localhost:8080", Origin="null"),
        head("/", Host="localhost:8080", Origin="http://localhost:9"),
        head("/"),
    ],
)
def test_other_websites_do_not(asked: bytes) -> None:
    assert str(Gate(1, "").admit(asked)).startswith("403")


def test_away_from_this_machine_the_secret_counts() -> None:
    token = new_token()
    gate = Gate(1, token)
    assert gate.admit(head(f"/{token}/assets/a.js?b", Host="robot")) == head(
        "/assets/a.js?b", Host="robot"
    )
    assert gate.admit(head(f"/{token}", Host="robot", Upgrade="websocket")) == head(
        "/", Host="robot", Upgrade="websocket"
    )
    assert str(gate.admit(head(f"/{token}", Host="robot"))).endswith(f"Location: /{token}/")
    for target in ("/", "//", f"/{token[:-1]}/", f"/{token}x/", f"/?{token}", f"/x/{token}/"):
        assert str(gate.admit(head(target, Host="robot"))).startswith("403"), target
    assert str(
        gate.admit(head(f"/{token}/", Host="robot", Origin="http://evil.example"))
    ).startswith("403")
    assert new_token() != token and len(token) >= 22


@pytest.mark.parametrize("asked", [b"POST / HTTP/1.1\r\n\r\n", b"\xff\x00\r\n\r\n", b"GET\r\n\r\n"])
def test_other_requests_are_refused(asked: bytes) -> None:
    assert str(Gate(1, "").admit(asked)).startswith("400")


def test_only_the_first_request_of_a_connection_passes() -> None:
    async def scenario() -> tuple[bytes, bytes]:
        heard = bytearray()

        async def inner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.extend(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
            heard.extend(await reader.read())

        server = await asyncio.start_server(inner, "127.0.0.1", 0)
        door = await asyncio.start_server(
            Gate(server.sockets[0].getsockname()[1], "secret"), "127.0.0.1", 0
        )
        async with server, door:
            port = door.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head("/secret/one", Host="robot") + head("/two", Host="robot"))
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
        return bytes(heard), answer

    heard, answer = asyncio.run(scenario())
    assert heard == head("/one", Host="robot")
    assert answer.endswith(b"hi")
