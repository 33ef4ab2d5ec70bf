"""What all windows share: the site's record, the scans in memory, and the server they talk to."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import viser

from otoc_ros.annotate.board import Board
from otoc_ros.annotate.gate import HEAD_LIMIT, LOCAL_NAMES, Gate, new_token
from otoc_ros.annotate.helper import Helper
from otoc_ros.annotate.page import Page
from otoc_ros.annotate.record import SiteRecord
from otoc_ros.annotate.review import Review
from otoc_ros.annotate.scan import Scan
from otoc_ros.annotate.segments import Segments
from otoc_ros.annotate.training import Training
from otoc_ros.core.errors import InputError
from otoc_ros.site.site import Site

SCANS_IN_MEMORY = 4  # a scan of a million points takes about 60 MB
SEGMENTS_IN_MEMORY = 40  # about 10 MB each
EXAMPLES, SURVEYED = 12, 4  # scenes with clicks, and without, that are looked at beforehand
WINDOWS_REMEMBERED = 4  # that are gone, in case they come back
LOOK_EVERY = 0.5  # seconds until a window shows what another one said


class Desk:
    """Shared by the windows; safe to use from several threads.

    Attributes:
        record: what was said. board: what follows from it. training, review: see there.
        last_scene, last_class: that a window has chosen last; where one begins that is new here.
        exports: how often new networks have replaced those that the pictures were made with.
    """

    def __init__(self, site: Site) -> None:
        self.record = SiteRecord(site)
        names = self.record.to_label
        waiting = [name for name in names if not self.record.of(name).clicks]
        self.last_scene = (waiting or names)[0]
        self.last_class = self.record.classes[0].name
        self.helper = Helper(site)
        self.board = Board(self.record, self.segments)
        self.training = Training(site.path)
        self.review = Review(self.record)
        self.exports = 0
        self._ran = ""  # the command that ran at the last look
        self._scans: OrderedDict[str, Scan] = OrderedDict()
        self._segments: OrderedDict[str, Future[Segments]] = OrderedDict()
        self._pages: dict[int, Page] = {}
        self._left: deque[Page] = deque(maxlen=WINDOWS_REMEMBERED)
        self._lock = threading.Lock()
        self._background = ThreadPoolExecutor(1, "super-voxels")
        self._pickers = ThreadPoolExecutor(1, "pickers")
        self._surveyor = ThreadPoolExecutor(1, "survey")

    def scan(self, name: str) -> Scan:
        """The scan of a scene, from memory where it was shown lately.

        Raises:
            InputError: there is no such scene, or its scan is damaged.
        """
        if name not in self.record.scenes:
            raise InputError(f"the site has no scene {name!r}")
        with self._lock:
            if name not in self._scans:
                scan = Scan.load(
                    self.record.scenes[name],
                    self.record.site.config.voxel_size,
                    self._background,
                    self.helper,
                    self._pickers,
                )
                self._scans[name] = scan
                self._remember(name, scan.segments)
                if len(self._scans) > SCANS_IN_MEMORY:
                    self._scans.popitem(last=False)
            self._scans.move_to_end(name)
            return self._scans[name]

    def prepare(self) -> None:
        """Begin to read the scene that the first window shows, while its browser starts.

        What is wrong with it is said once a window asks for it.
        """
        self._surveyor.submit(self.scan, self.last_scene)

    def segments(self, name: str) -> Segments | None:
        """The super-voxels of a scene if they are known already."""
        with self._lock:
            found = self._segments.get(name)
            if found is not None:
                self._segments.move_to_end(name)
        if found is None or not found.done() or found.exception() is not None:
            return None
        return found.result()

    def survey(self) -> None:
        """Look at scenes that nobody has opened here, one after another.

        Those with clicks hold examples; of the others it can then be told what they teach.
        """
        with self._lock:
            unseen = [name for name in self.record.scenes if name not in self._segments]
            clicked = [name for name in unseen if self.record.of(name).clicks]
            waiting = [name for name in unseen if name in self.record.to_label]
            for name in (*clicked[:EXAMPLES], *[n for n in waiting if n not in clicked][:SURVEYED]):
                self._remember(name, self._surveyor.submit(self._look_at, name))

    def _look_at(self, name: str) -> Segments:
        with ThreadPoolExecutor(1) as alone:
            scene, voxel_size = self.record.scenes[name], self.record.site.config.voxel_size
            return Scan.load(scene, voxel_size, alone, self.helper).segments.result()

    def _remember(self, name: str, found: Future[Segments]) -> None:
        self._segments[name] = found
        self._segments.move_to_end(name)
        if len(self._segments) > SEGMENTS_IN_MEMORY:
            self._segments.popitem(last=False)

    def _see_anew(self) -> None:
        """Forget what the former networks saw; the next pictures ask the present ones."""
        with self._lock:
            self._scans.clear()
            self._segments.clear()
            self.exports += 1

    def enter(self, client: viser.ClientHandle) -> None:
        """A window has connected, or come back after a lost connection."""
        self._pages[client.client_id] = Page(client, self, self._former(client))

    def leave(self, client: viser.ClientHandle) -> None:
        """A window is gone."""
        page = self._pages.pop(client.client_id, None)
        if page is not None:
            self._left.append(page)

    def _former(self, client: viser.ClientHandle) -> Page | None:
        """The page that a window had before its connection was lost, if that can be told."""
        with self._lock:
            # The server may not have noticed that the window was gone.
            known = [*self._left, *self._pages.values()]
            same = [page for page in known if page.stage.camera.is_same(client)]
            if len(same) != 1:
                return None
            if same[0] in self._left:
                self._left.remove(same[0])
            for name in [name for name, page in self._pages.items() if page is same[0]]:
                self._pages.pop(name, None)
            return same[0]

    def look_round(self) -> None:
        """Let every window show what others have said, and what training has left."""
        was, self._ran = self._ran, self.training.what if self.training.running else ""
        if was == "export" and not self._ran and self.training.ended == 0:
            self._see_anew()
        for page in list(self._pages.values()):
            page.act(page.look_round)


def serve(site: Site, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve the page until interrupted.

    Args:
        host: address to listen on. Any but this machine's own gets a secret into the link.
        port: 0 = any free one.
        announce: called with the link once the page is there.

    Raises:
        InputError: the site has no scenes, or the address cannot be listened on.
    """
    desk = Desk(site)
    desk.prepare()
    with contextlib.redirect_stdout(io.StringIO()):  # viser prints an address of its own
        # A label would stand where the page says whether it is connected.
        server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    try:
        server.gui.configure_theme(
            show_logo=False, show_share_button=False, dark_mode=True, brand_color=(70, 130, 180)
        )
        server.on_client_connect(desk.enter)
        server.on_client_disconnect(desk.leave)
        asyncio.run(_stand(desk, server.get_port(), host, port, announce))
    finally:
        desk.training.stop()
        with contextlib.redirect_stdout(io.StringIO()):
            server.stop()


async def _stand(
    desk: Desk, inner_port: int, host: str, port: int, announce: Callable[[str], None]
) -> None:
    token = "" if host in LOCAL_NAMES else new_token()
    try:
        gate = await asyncio.start_server(Gate(inner_port, token), host, port, limit=HEAD_LIMIT)
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another --port"
        ) from error
    bound = gate.sockets[0].getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    announce(f"http://{name}:{bound}/" + (f"{token}/" if token else ""))
    async with gate:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await asyncio.to_thread(desk.look_round)
