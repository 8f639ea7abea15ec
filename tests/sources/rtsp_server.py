"""A real RTSP server for tests, on GStreamer: `/usr/bin/python3 rtsp_server.py '{"port": ...}'`.

It needs GStreamer's Python bindings, which come with the system's Python, so it imports nothing of
ours. Its one argument is a JSON object:

    port      where to listen, on 127.0.0.1
    login     "user:password" that every client must give; absent for none
    mounts    {"/path": {"file": ..., "fps": ..., "late_s": 0, "loss": 0}}

`file` is H.264 in Annex B form, every frame intra-coded and behind an access unit delimiter.
Which of its frames is sent depends on the time of day alone: picture `(now - late_s) * 30`, round
and round, whatever `fps` is. So all streams show the same moment at the same time, whenever a
client comes, and after every restart. `loss` is the share of RTP packets that are dropped, the
same ones for every client.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

DELIMITER = b"\x00\x00\x00\x01\x09"
AHEAD = 0.002  # seconds that a frame is sent after the moment that it shows
ROLE = "viewer"


class Mount(GstRtspServer.RTSPMediaFactory):
    """One path of the server: a file that is sent as if it were a camera."""

    def __init__(self, file, fps, late_s=0.0, loss=0.0):
        super().__init__()
        units = Path(file).read_bytes().split(DELIMITER)[1:]
        self.frames = [DELIMITER + unit for unit in units]
        self.fps = fps
        self.late_s = late_s
        self.set_launch(
            "( appsrc name=camera is-live=true format=time "
            f"caps=video/x-h264,stream-format=byte-stream,alignment=au,framerate={fps}/1 "
            "! h264parse ! rtph264pay config-interval=-1 pt=96 "
            + ("! identity name=pay0 )" if loss else "name=pay0 )")  # it takes lists apart
        )
        self.loss = loss
        self.connect("media-configure", self.configure)

    def configure(self, _, media):
        camera = media.get_element().get_child_by_name("camera")
        slot = None
        chance = random.Random(4)  # noqa: S311

        def lose(*_):
            lost = chance.random() < self.loss
            return Gst.PadProbeReturn.DROP if lost else Gst.PadProbeReturn.OK

        if self.loss:
            sent = media.get_element().get_child_by_name("pay0").get_static_pad("src")
            sent.add_probe(Gst.PadProbeType.BUFFER, lose)

        def give(camera, _):
            nonlocal slot
            now = time.time()
            slot = int(now * self.fps) if slot is None else slot + 1
            time.sleep(max(slot / self.fps + AHEAD - now, 0))
            running = (camera.get_clock().get_time() - camera.get_base_time()) / Gst.SECOND
            since = max(slot / self.fps - time.time() + running, 0)
            frame = self.frames[round((slot / self.fps - self.late_s) * 30) % len(self.frames)]
            buffer = Gst.Buffer.new_wrapped(frame)
            buffer.pts = buffer.dts = int(since * Gst.SECOND)
            buffer.duration = Gst.SECOND // self.fps
            camera.emit("push-buffer", buffer)

        camera.connect("need-data", give)


def main():
    """Serve until killed; say "ready" when clients may come."""
    wanted = json.loads(sys.argv[1])
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(wanted["port"]))
    login = wanted.get("login")
    if login:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login.split(":")), token)
        server.set_auth(auth)
    for path, settings in wanted["mounts"].items():
        mount = Mount(**settings)
        if login:
            rights = "media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
            mount.add_role_from_structure(Gst.Structure.new_from_string(f"{ROLE},{rights}"))
        server.get_mount_points().add_factory(path, mount)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {wanted['port']}")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
