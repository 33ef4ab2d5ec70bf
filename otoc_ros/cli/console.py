"""What all commands print with: results on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

out = Console()
err = Console(stderr=True)

Item = TypeVar("Item")


def bar(quiet: bool = False) -> Progress:
    """A progress bar with count and remaining time; use it as a context manager.

    Args:
        quiet: show nothing, as where another process shows it.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    )


def track(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Go through items with a progress bar; `total` None: unknown, or the length of `items`."""
    with bar() as progress:
        yield from progress.track(items, total=total, description=what)
