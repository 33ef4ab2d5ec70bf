"""YAML files with a typed model each; what is wrong in one is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from otoc_ros.core.errors import InputError
from otoc_ros.site.files import atomic_write

_LARGEST = 64 * 2**20  # bytes; a scene of ten thousand views needs about 5 MB

Model = TypeVar("Model", bound="Document")


class Document(BaseModel):
    """Base of everything a site stores as text: unknown fields, NaN and changes are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


def parse(model: type[Model], values: Any, place: str) -> Model:
    """Check values against a model; an InputError begins with `place` (a file, a line)."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{place}: {describe(error)}") from error


def describe(error: ValidationError) -> str:
    """The first problem of a ValidationError as one line: field, reason and value."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    text = " ".join(first["msg"].removeprefix("Value error, ").split())
    line = f"{field}: {text}" if field else text
    if isinstance(first["input"], str | int | float):
        line += f" (it is {first['input']!r})"
    more = error.error_count() - 1
    return line + (f" and {more} more problem{'s' * (more > 1)}" if more else "")


def read_document(path: Path, model: type[Model], *, newest_format: int | None = None) -> Model:
    """Read a YAML file.

    Args:
        newest_format: the highest value of the field `format` that this version understands.

    Raises:
        InputError: the file is missing, unreadable, not YAML, from a newer version, or does not
            fit the model.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"{path} is larger than {_LARGEST >> 20} MiB; it is not ours")
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; restore it from a copy") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise InputError(f"{path}{where} is not YAML: {problem}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no fields; it is empty or damaged: restore it from a copy")
    stated = values.get("format")
    if newest_format is not None and isinstance(stated, int) and stated > newest_format:
        raise InputError(
            f"{path} is of format {stated}, from a newer otoc_ros (this one reads up to "
            f"{newest_format}); update otoc_ros"
        )
    return parse(model, values, str(path))


def write_document(path: Path, document: Document) -> None:
    """Replace a YAML file as a whole; fields keep the order of the model."""
    values = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None)
    atomic_write(path, text.encode())
