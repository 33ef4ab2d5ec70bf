"""Clicks by finger and pen on a tablet."""

from __future__ import annotations

import viser

# A browser lets the canvas capture every finger that touches it. viser's page takes a captured
# pointer for one that drags a handle in the scene, and makes no click of it. The smallest picture
# there is carries the remedy into the page: no other content of a viser page runs.
_FREE_FINGERS = """
<img alt="" style="display:none"
 src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
 onload="if (!window.fingersAreFree) {
  window.fingersAreFree = true;
  window.addEventListener('pointerdown', event => {
   if (event.pointerType !== 'mouse' && event.target instanceof HTMLCanvasElement)
    event.target.releasePointerCapture(event.pointerId);
  }, true);
 }">
"""


def free_fingers(client: viser.ClientHandle) -> None:
    """Let a tap on the scene of a window be a click, as one of the mouse is."""
    client.gui.add_html(_FREE_FINGERS)
