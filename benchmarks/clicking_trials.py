"""Programs killed and connections broken amid clicks: is anything lost that was acknowledged?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "test" / "annotate"))  # the same trials


def trials(count: int) -> dict:
    """So many of either kind: what was acknowledged, and how much of that is not on disk."""
    from box_site import make_box_site
    from test_disconnect import disconnect
    from test_killed import kill

    with tempfile.TemporaryDirectory() as folder:
        acknowledged, lost = kill(make_box_site(Path(folder) / "killed"), count)
        sent, told, untold = disconnect(make_box_site(Path(folder) / "cut"), count)
    row = {
        "kills": count,
        "acknowledged": acknowledged,
        "lost_by_kills": lost,
        "disconnects": count,
        "clicks_sent": sent,
        "told": told,
        "lost_by_disconnects": untold,
        "lost": lost + untold,
    }
    return {"trials": row}
