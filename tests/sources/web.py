"""A web server on loopback, for recordings, playlists, redirects and a camera that sends MJPEG."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
from PIL import Image

from tests.sources.conftest import PICTURES, picture

FRAMES = 40
CAMERA_FPS = 10


def record(path: Path, kind: str) -> Path:
    """Pictures 0..39 at 30 a second, 160x120, H.264, in a container of some kind."""
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for number in range(FRAMES):
            image = picture(number, 160, 120)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def jpeg(number: int) -> bytes:
    """A test picture as JPEG."""
    data = io.BytesIO()
    Image.fromarray(picture(number, 160, 120)).save(data, "jpeg")
    return data.getvalue()


class _Handler(SimpleHTTPRequestHandler):
    """Serves files of a folder; /camera, /goto?URL, and /cut/FILE, of which the end is missing."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/camera":
            self._send_camera(int(query or 1_000_000))
        elif path == "/goto":
            self.send_response(302)
            self.send_header("Location", query)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith("/cut/"):
            data = Path(self.directory, path.removeprefix("/cut/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) * 3 // 5])
        else:
            super().do_GET()

    def _send_camera(self, frames: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=here")
        self.end_headers()
        first = int(time.time() * CAMERA_FPS) + 1
        try:
            for slot in range(first, first + frames):
                time.sleep(max(slot / CAMERA_FPS - time.time(), 0))
                data = jpeg(slot % PICTURES)
                head = f"--here\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
        except OSError:
            pass  # whoever looked has gone

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a web server that serves `folder`; see `_Handler` for what else it does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
