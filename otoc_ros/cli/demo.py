"""The whole job in one command: `otoc demo`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def demo(
    output: Annotated[
        Path, typer.Option(help="Folder for the report; an earlier demo in it is replaced.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other rooms and clicks.")] = 0,
    recordings: Annotated[
        Path | None,
        typer.Option(
            envvar="OTOC_DATA", help="Folder of real recordings; simulated rooms if none."
        ),
    ] = None,
) -> None:
    """Do the whole job: scenes, clicks, training, export, the live node, and a report of it all."""
    from offline_training.demo.run import run_demo
    from otoc_ros.cli.console import bar, out

    folder = recordings if recordings and str(recordings) != "." else None
    data = f"OTOC_DATA={shlex.quote(str(folder))} " if folder else ""
    options = [f"--output {shlex.quote(str(output))}"] if output != Path("demo") else []
    options += [f"--seed {seed}"] if seed else []
    command = " ".join([f"{data}otoc demo", *options])
    with bar() as progress:
        facts = run_demo(
            output,
            folder,
            seed,
            command,
            progress,
            lambda line: out.print(line, highlight=False),
        )
    live = facts["live"]
    out.print(
        f"{facts['clicks']} clicks, {facts['minutes']:.1f} minutes of a person's time; "
        f"mIoU {_percent(facts['scores']['miou'])}, AP50 {_percent(facts['scores']['ap50'])}; "
        f"{live['labelled']} of {live['sent']} live clouds labelled, "
        f"{live['stages']['total']['median']:.0f} ms each (median)",
        highlight=False,
    )
    out.print(f"{output / 'report.html'}: open it in a browser", highlight=False)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
