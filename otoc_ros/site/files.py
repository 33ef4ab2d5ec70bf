"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from otoc_ros.core.errors import InputError

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_REFUSED = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a write to `path` into one InputError line."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        if number in _FULL:
            reason, remedy = _FULL[number], "free some space and try again"
        elif number in _REFUSED:
            reason, remedy = _REFUSED[number], "choose another folder or change its permissions"
        else:
            reason, remedy = error.strerror or str(error), "check the path"
        raise InputError(f"cannot write {path}: {reason}; {remedy}") from error


def atomic_write(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Replace a file as a whole: afterwards it holds either the old bytes or all of the new ones.

    Args:
        data: all of it, or its parts one after the other.

    Raises:
        InputError: the folder is missing, full or not writable; the old file is untouched.
    """
    temporary = _aside(path)
    with writing(path):
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(descriptor, "wb") as stream:
                for part in (data,) if isinstance(data, bytes) else data:
                    stream.write(part)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder that appears under its name only when the block that fills it has succeeded.

    The block writes into the folder it is given with `atomic_write`. With `replace` an existing
    folder of that name is moved aside first and deleted afterwards.

    Raises:
        InputError: the name is taken (without `replace`), or the disk is full or not writable.
    """
    temporary = _aside(path)
    with writing(path):
        try:
            temporary.mkdir()
            yield temporary
            sync_folder(temporary)
            if replace and path.exists():
                _exchange(temporary, path)
            else:
                temporary.rename(path)  # fails where a folder with something in it has the name
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(path.parent)


@contextmanager
def locked_append(path: Path) -> Iterator[int]:
    """A file descriptor for reading and appending, created if needed, held by one process only."""
    with writing(path):
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if is_new:
                sync_folder(path.parent)
            yield descriptor
        finally:
            os.close(descriptor)  # which also lets go of the lock


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """A folder's files are read and replaced by one process only while the block runs."""
    with writing(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # which also lets go of the lock


def append(descriptor: int, data: bytes) -> None:
    """Append and sync; when that fails the file gets its former length back."""
    length = os.fstat(descriptor).st_size
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, length)
        raise


def sync_folder(path: Path) -> None:
    """Make new and renamed entries of a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _aside(path: Path) -> Path:
    # Hidden and in the same folder: a rename is atomic only within one file system.
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def _exchange(new: Path, old: Path) -> None:
    aside = _aside(old)
    old.rename(aside)
    try:
        new.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    shutil.rmtree(aside, ignore_errors=True)
