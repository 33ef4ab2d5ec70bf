"""The `otoc` command. What is heavy is imported inside the commands, so that help comes at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from otoc_ros.cli import demo, info, label, site, train
from otoc_ros.core.errors import InputError

app = typer.Typer(
    name="otoc",
    help="One click per object in, live labels out.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

BAD_INPUT = 2
INTERRUPTED = 130

# Where setup.py lists what only some commands need; the rest is needed for training.
_EXTRAS = {
    "onnxruntime": "cpu",
    "viser": "label",
    "small_gicp": "import",
    "laspy": "import",
    "lazrs": "import",
    "pye57": "import",
}

# Recent releases of typer bring their own copy of click: its errors are reached through typer.
_UsageError: Any = typer.BadParameter.__mro__[1]


@app.callback()
def options(
    context: typer.Context,
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """One click per object in, live labels out."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("site")(site.create)
app.command("import")(site.import_source)
app.command("simulate-clicks")(site.simulate)
app.command("rooms")(site.rooms)
app.command("label")(label.label)
app.command("train")(train.train)
app.command("export")(train.export)
app.command("evaluate")(train.evaluate)
app.command("predict")(train.predict)
app.command("info")(info.info)
app.command("demo")(demo.demo)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: errors are one line on stderr, with status 2 for bad input."""
    # Before anything loads OpenMP, whose threads else wait by spinning: where other processes want
    # the cores too, that makes a training step ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # wherever it stands
    sys.exit(_run([argument for argument in given if argument != "--debug"], debug))


def _run(arguments: list[str], debug: bool) -> int:
    try:
        status = app(args=arguments, prog_name="otoc", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except _UsageError as error:
        message = error.format_message().replace("Value error, ", "")
        return _complain(f"{message} See `otoc {_command(arguments)}--help`.")
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        sys.stderr.close()
        return 1
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if debug or package in ("", "otoc_ros", "offline_training"):
            raise
        extra = _EXTRAS.get(package, "train")
        return _complain(f"{package} is not installed; pip install 'otoc_ros[{extra}]'")
    except (InputError, OSError) as error:
        if debug:
            raise
        return _complain(str(error))
    if status == INTERRUPTED:
        print("otoc: stopped", file=sys.stderr)
    return int(status or 0)


def _complain(message: str) -> int:
    print(f"otoc: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def _command(arguments: list[str]) -> str:
    known = {command.name for command in app.registered_commands}
    return next((f"{argument} " for argument in arguments if argument in known), "")
