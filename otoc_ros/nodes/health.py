"""What the node counts and times, and how it tells /diagnostics and the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

COMPLAINT_PERIOD = 30.0  # seconds between two log lines about the same kind of cloud

EVENTS = (
    "received",
    "labelled",
    "dropped",
    "unwatched",
    "rejected",
    "clicks",
    "clicks refused",
)

# The levels are bytes in messages; here they are compared.
OK, WARN, ERROR = (
    level[0] for level in (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
)


class Health:
    """Counts, rates and times of the clouds since activation; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew, as at activation."""
        with self._lock:
            self._begin = self._window_begin = monotonic()
            self._last_cloud = self._begin
            self._counts: Counter[str] = Counter()
            self._window: Counter[str] = Counter()
            self._times: dict[str, list[float]] = {}
            self._kinds: Counter[str] = Counter()
            self._complained: dict[str, float] = {}
            self._last_complaint = ""
            self._last_click = ""

    def count(self, event: str) -> None:
        """One more of `EVENTS`."""
        with self._lock:
            self._counts[event] += 1
            self._window[event] += 1
            if event == "received":
                self._last_cloud = monotonic()

    def say(self, of_click: str) -> None:
        """What became of the last click."""
        with self._lock:
            self._last_click = of_click

    def time(self, milliseconds: Mapping[str, float]) -> None:
        """Times of one cloud's stages."""
        with self._lock:
            for stage, value in milliseconds.items():
                self._times.setdefault(stage, []).append(value)

    def reject(self, kind: str, reason: str, log: Callable[[str], object]) -> None:
        """Count a cloud that got no labels; its kind is logged at once, then now and then.

        Args:
            log: always of the same severity, as rclpy demands of one line of code.
        """
        self.count("rejected")
        with self._lock:
            self._kinds[kind] += 1
            self._last_complaint = f"{kind}: {reason}"
            last = self._complained.get(kind)
            if last is not None and monotonic() - last < COMPLAINT_PERIOD:
                return
            self._complained[kind] = monotonic()
            number = self._kinds[kind]
        log(f"cloud rejected, {kind} ({number} so far): {reason}")

    def status(
        self, name: str, state: Mapping[str, str], latency_limit: float, silence_limit: float
    ) -> DiagnosticStatus:
        """The state since the last call, for an active node.

        Args:
            name: of the node. state: what else to show, by key.
            latency_limit, silence_limit: seconds above which the level is a warning.
        """
        with self._lock:
            now = monotonic()
            seconds = max(now - self._window_begin, 1e-3)
            window, times = self._window, self._times
            self._window_begin, self._window, self._times = now, Counter(), {}
            silent = now - self._last_cloud
            counts, kinds = Counter(self._counts), Counter(self._kinds)
            complaint, click = self._last_complaint, self._last_click
        level, message = OK, "labelling"
        worst = max(times.get("total", [0.0]))
        if window["unwatched"] and not window["labelled"]:
            message = "idle: nobody subscribes to the labels"
        if worst > latency_limit * 1e3:
            level, message = WARN, f"slow: {worst:.0f} ms from receipt to labels"
        if silent > silence_limit:
            level, message = WARN, f"no cloud for {silent:.0f} s"
        if window["rejected"]:
            level = WARN if window["labelled"] else ERROR
            message = f"clouds rejected, {complaint}"
        values = dict(state)
        values["input rate [Hz]"] = f"{window['received'] / seconds:.2f}"
        values["output rate [Hz]"] = f"{window['labelled'] / seconds:.2f}"
        for event in EVENTS:
            values[event] = str(counts[event])
        if click:
            values["last click"] = click
        for kind, number in sorted(kinds.items()):
            values[f"rejected: {kind}"] = str(number)
        for stage, laps in times.items():
            values[f"{stage} mean [ms]"] = f"{sum(laps) / len(laps):.1f}"
            values[f"{stage} max [ms]"] = f"{max(laps):.1f}"
        return status_message(level, name, message, values)


def status_message(
    level: int, name: str, message: str, values: Mapping[str, str]
) -> DiagnosticStatus:
    """One entry of /diagnostics."""
    return DiagnosticStatus(
        level=bytes([level]),
        name=name,
        message=message,
        hardware_id=values.get("bundle hash", ""),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
