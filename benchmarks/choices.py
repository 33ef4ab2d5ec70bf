"""Options that take several names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection


def several_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """The `type` of an option whose value is comma-separated names out of `known`."""

    def read(given: str) -> list[str]:
        names = given.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"there is no {name!r}; there are {', '.join(known)}"
                )
        return names

    return read
