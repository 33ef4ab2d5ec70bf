"""What every reader says about a file it cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otoc_ros.core.errors import InputError


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Check that a file is there and not empty, and put what fails in its parser into one line.

    Args:
        kind: what the file should be, for the message: "PLY", "PCD" …
    """
    require_file(path)
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or one_line(error)}") from error
    except Exception as error:  # parsers of damaged files raise anything: IndexError, struct.error
        raise InputError(
            f"cannot read {path} as {kind}: {one_line(error)}; it is damaged, cut short or of "
            "another format"
        ) from error


def require_file(path: Path) -> None:
    """Raise InputError unless `path` is a file with something in it."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if not path.is_file():
        raise InputError(f"{path} is not a file")
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes); record or copy it again")


def one_line(error: BaseException) -> str:
    """The message of any exception without line breaks, at most 200 characters."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
