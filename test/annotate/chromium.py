"""A real browser without a screen, driven by real mouse and key events through Playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright

BINARY = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-quic",
)
LAPTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
SLOW = 240  # seconds; drawing without a graphics card, on a machine that others use


class Tab:
    """One window of the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def text(self) -> str:
        """What a person can read on the page, values of inputs included."""
        inputs = "[...document.querySelectorAll('input')].map(input => '\\n' + input.value)"
        # There is no body yet when a page begins to load.
        said: str | None = self.page.evaluate(f"document.body?.innerText + {inputs}.join('')")
        return said or ""

    def shows(self, words: str) -> None:
        """Wait until the page shows some words."""
        try:
            wait(lambda: words in self.text())
        except AssertionError:
            raise AssertionError(f"{words!r} is not on the page:\n{self.text()}") from None

    def click(self, x: float, y: float, key: str | None = None) -> None:
        """Click at some pixels, with a key held down."""
        if key is not None:
            self.page.keyboard.down(key)
        self.page.mouse.click(x, y)
        if key is not None:
            self.page.keyboard.up(key)

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def click_words(self, words: str) -> None:
        """Click the button or tab with just these words, once it stands still and is uncovered."""
        self.page.get_by_text(words, exact=True).last.click()

    def type_into(self, label: str, words: str) -> None:
        """Fill the text field that follows a label."""
        self.page.get_by_text(label, exact=True).last.locator("xpath=following::input[1]").fill(
            words
        )

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


def middle(window: Tab) -> tuple[float, float]:
    """Where the box is seen: the view is turned to the middle of the scene."""
    x, y = window.page.evaluate("[innerWidth / 2, innerHeight / 2]")
    return x, y


@contextmanager
def browser(**device: Any) -> Iterator[BrowserContext]:
    """Chromium with a fresh profile, on a laptop or another device; it ends with the block."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=BINARY, args=[*FLAGS]) as chromium,
    ):
        context = chromium.new_context(**LAPTOP | device)
        context.set_default_timeout(SLOW * 1000)
        yield context


@contextmanager
def tab(chromium: BrowserContext, url: str) -> Iterator[Tab]:
    """A new window that shows a page, in front of all others; closed with the block."""
    page = chromium.new_page()
    try:
        opened = Tab(page)
        page.goto(url)
        yield opened
    finally:
        page.close()


def wait(condition: Callable[[], Any], seconds: float = SLOW) -> Any:
    """Wait for something to come true and return it."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        assert time.monotonic() < end, f"not true within {seconds} s"
        time.sleep(0.1)
