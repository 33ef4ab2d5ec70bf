"""A real browser without a screen, driven by real mouse and key events over its own protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

BINARY = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--window-size=1280,800",
    "--remote-debugging-port=0",
)
CONTROL, SHIFT = 2, 8  # bits of the protocol's modifiers


class Tab:
    """One window of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def reload(self) -> None:
        self._call("Page.reload")

    def run(self, script: str) -> Any:
        """Value of a JavaScript expression."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def text(self) -> str:
        """What a person can read on the page, values of inputs included."""
        inputs = "[...document.querySelectorAll('input')].map(input => '\\n' + input.value)"
        # There is no body yet when a page begins to load.
        return self.run(f"document.body.innerText + {inputs}.join('')") or ""

    def click(self, x: float, y: float, modifiers: int = 0) -> None:
        common = {"x": x, "y": y, "modifiers": modifiers}
        self._call("Input.dispatchMouseEvent", type="mouseMoved", **common)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **common)

    def press(self, key: str, code: str, modifiers: int = 0) -> None:
        common = {"key": key, "code": code, "modifiers": modifiers}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=key, **common)
        self._call("Input.dispatchKeyEvent", type="keyUp", **common)

    def click_button(self, label: str) -> None:
        """Click in the middle of the button or tab with some words on it."""
        spot = self.run(
            "(() => { const named = [...document.querySelectorAll('button, [role=tab], div')]"
            f".filter(part => part.innerText?.trim() === {json.dumps(label)});"
            "const found = named[named.length - 1];"  # the innermost one
            "const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        self.click(*spot)

    def type_into(self, label: str, words: str) -> None:
        """Click into the text field with some label and type."""
        spot = self.run(
            "(() => { const named = [...document.querySelectorAll('label, div')]"
            f".filter(part => part.innerText?.trim() === {json.dumps(label)});"
            "let part = named[named.length - 1];"
            "while (!part.querySelector('input')) part = part.parentElement;"
            "const box = part.querySelector('input').getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        self.click(*spot)
        self._call("Input.insertText", text=words)

    def come_to_front(self) -> None:
        """Be the window that is seen; one behind another draws nothing and may lose clicks."""
        self._call("Page.bringToFront")
        wait(lambda: self.run("document.visibilityState") == "visible")

    def screenshot(self, path: Path) -> None:
        answer = self._call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._connection.send(
            json.dumps({"id": self._number, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(self._connection.recv(timeout=120))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        said = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(said["exceptionDetails"])[:500])
        elif message.get("method") == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.errors.append(said["entry"]["text"])


class Browser:
    """A running Chromium."""

    def __init__(self, port: int) -> None:
        self._port = port

    @contextmanager
    def tab(self, url: str) -> Iterator[Tab]:
        """A new window that shows a page, in front of all others; closed with the block."""
        window = json.loads(self._ask("new?about:blank"))
        try:
            with connect(window["webSocketDebuggerUrl"], max_size=None) as connection:
                tab = Tab(connection)
                tab.open(url)
                yield tab
        finally:
            self._ask(f"close/{window['id']}")

    def _ask(self, what: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/{what}", method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            said: bytes = answer.read()
        return said


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with a fresh profile in a folder; it ends with the block."""
    assert BINARY is not None
    command = [BINARY, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            told = profile / "DevToolsActivePort"
            wait(lambda: told.exists() and told.read_text().strip(), 60)
            yield Browser(int(told.read_text().split()[0]))
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to come true and return it."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not true within {seconds} s"
        time.sleep(0.1)
