"""What a browser's window notes of itself: when points were drawn, and when clicks were answered.

A picture counts from when its drawing has ended, not from when it was asked for; a photograph of
the window would take longer than what it is to measure.
"""

from __future__ import annotations

# Every frame that draws points: when it began, when the drawing of it had ended, and how much was
# drawn. Times are of performance.now(): milliseconds since the window began to open the page.
FRAMES = """(() => {
  window.frames_drawn = [];
  let frame = null;
  const close = gl => {
    const seen = frame;
    frame = null;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const look = () => {
      if (gl.clientWaitSync(fence, 0, 0) === gl.TIMEOUT_EXPIRED) { setTimeout(look, 4); return; }
      gl.deleteSync(fence);
      seen.done = performance.now();
      if (seen.largest >= LEAST) window.frames_drawn.push(seen);
    };
    setTimeout(look, 4);
  };
  for (const [name, place] of [['drawArrays', 2], ['drawElements', 1],
                               ['drawArraysInstanced', 3], ['drawElementsInstanced', 4]]) {
    const draw = WebGL2RenderingContext.prototype[name];
    WebGL2RenderingContext.prototype[name] = function (...values) {
      if (frame === null) {
        frame = {begun: performance.now(), largest: 0, all: 0};
        queueMicrotask(() => close(this));
      }
      frame.largest = Math.max(frame.largest, values[place]);
      frame.all += values[place];
      return draw.apply(this, values);
    };
  }
})()"""

# When the mouse button comes up, and when the count of clicks on the page next changes.
ANSWERS = """() => {
  window.answers = []; let released = null, drawn = 0;
  const count = () => document.body.innerText.match(/(\\d+) clicks? here/)?.[1];
  let shown = count();
  addEventListener('pointerup', () => {
    released = performance.now(); drawn = window.frames_drawn.at(-1).all;
  }, true);
  new MutationObserver(() => {
    const now = count();
    if (now === undefined || now === shown) return;
    shown = now;
    if (released !== null) window.answers.push({released, drawn, told: performance.now()});
    released = null;
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""

# Milliseconds from each click to the first picture with something more or less in it: its pin.
PICTURES = """() => window.answers.map(({released, drawn}) => {
  const next = window.frames_drawn.find(one => one.begun > released && one.all !== drawn);
  return next === undefined ? null : next.done - released;
})"""


def frames(least: int) -> str:
    """The script that notes every picture with at least so many points in one piece."""
    return FRAMES.replace("LEAST", str(least))
