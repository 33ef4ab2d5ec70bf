"""`otoc label`: the labelling page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def label(
    site: Annotated[Path, typer.Argument(metavar="SITE", help="Folder of the site.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the page; 0: any free one.")
    ] = 8080,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Any but this machine's own gets a secret into the link; "
            "the connection is not encrypted, so use it in networks you trust."
        ),
    ] = "localhost",
) -> None:
    """Open the labelling page: click once on each object, in a browser."""
    from otoc_ros.annotate.desk import serve
    from otoc_ros.site.site import Site

    serve(Site.open(site), host, port, lambda link: print(f"label at {link}", flush=True))
