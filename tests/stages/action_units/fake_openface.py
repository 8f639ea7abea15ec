"""Stands in for OpenFace's FeatureExtraction: its protocol, and all that can go wrong with it.

Takes the options of version 1 or 2, reads uncompressed AVI from `-f`, writes a row for each frame,
and at the end closes its file, opens it again, reads it, empties it and writes it anew with
post-processed values, as the real one does. What it writes is computed of the picture, so that a
frame in the wrong place shows. `--how` (first arguments) chooses a misbehaviour.

    fake_openface.py --how crash=5 -f /dev/stdin -of FILE -q
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
CLASSES = (*UNITS[:-1], 28, 45)


def intensity(unit: int, pixel: int) -> float:
    """Raw, as it is predicted: -1 to 4."""
    return (pixel * 7 + unit * 13) % 500 / 100 - 1


def post_processed(unit: int, pixel: int) -> float:
    return min(max(intensity(unit, pixel) - 0.25, 0.0), 5.0)


def present(unit: int, pixel: int) -> int:
    return (pixel + unit) % 2


def read_exactly(file: BinaryIO, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            break
        data += more
    return data


def pictures(file: BinaryIO) -> Iterator[int]:
    """The number that the first pixel of each picture spells, blue first."""
    beginning = read_exactly(file, 12)
    if len(beginning) < 12 or beginning[8:] != b"AVI ":
        print("Failed to open video source, exiting", flush=True)
        raise SystemExit(1)
    width = height = 0
    while True:
        head = read_exactly(file, 8)
        if len(head) < 8:
            return
        name, size = struct.unpack("<4sI", head)
        if name == b"LIST":
            read_exactly(file, 4)
        elif name == b"strf":
            _, width, height, _, bits = struct.unpack("<IiiHH", read_exactly(file, size)[:16])
            assert (height < 0, bits) == (True, 24), "rows from the top, 24 bits"
        else:
            data = read_exactly(file, size)
            if len(data) < size:
                return
            if name == b"00db":
                assert size == (3 * width + 3) // 4 * 4 * -height, "rows padded to four bytes"
                yield data[0] + 256 * data[1] + 65536 * data[2]


class Options:
    """The command line, as both generations read it."""

    def __init__(self, words: list[str]) -> None:
        self.how: dict[str, str] = {}
        while words and words[0] == "--how":
            name, _, value = words[1].partition("=")
            self.how[name] = value
            words = words[2:]
        self.words = words
        self.video = self._after("-f")
        self.second = "-out_dir" in words
        if self.second:
            self.rows = Path(self._after("-out_dir"), self._after("-of")).with_suffix(".csv")
        else:
            self.rows = Path(self._after("-of"))
            assert "-q" in words, "version 1 opens windows"
        if self.how.get("only", self.rows.stem) != self.rows.stem:
            self.how = {}

    def _after(self, option: str) -> str:
        return self.words[self.words.index(option) + 1] if option in self.words else ""

    def writes(self, frame: int) -> bool:
        """Whether this frame gets its row."""
        return frame != self.number("skip") and frame <= self.number("few", 10**9)

    def number(self, name: str, otherwise: int = -1) -> int:
        return int(self.how.get(name, otherwise))


class Writer:
    """Rows, in the way of the generation."""

    def __init__(self, options: Options) -> None:
        self.how = options.how
        comma = "," if "comma" in self.how else ", "
        self.comma = comma
        names = ["frame", *(["face_id"] if "faces" in self.how else []), "timestamp"]
        names += ["confidence", "success"]
        # Version 1 writes the rest unless told not to, version 2 if told to.
        self.wide = 600 if options.second and "-2Dfp" in options.words else 0
        names += [f"x_{place}" for place in range(self.wide)]
        names += [f"AU{unit:02}_r" for unit in UNITS] + [f"AU{unit:02}_c" for unit in CLASSES]
        self.header = comma.join(names) + "\n"

    def rows(self, frame: int, pixel: int, online: bool) -> str:
        faces = int(self.how.get("faces") or 1)
        return "".join(self.row(frame, pixel, online, face) for face in range(faces))

    def row(self, frame: int, pixel: int, online: bool, face: int) -> str:
        seen = not ("lost" in self.how and frame % int(self.how["lost"]) == 0)
        values = [str(frame), *([str(face)] if "faces" in self.how else []), f"{frame / 30:g}"]
        values += ["0.98" if seen else "0.0167", "1" if seen else "0"]
        values += ["123.456"] * self.wide
        # Rows of other faces, and of none, hold something else.
        pixel = pixel + 1000 * face if seen else 4_711
        value = intensity if online else post_processed
        values += [f"{value(unit, pixel):g}" for unit in UNITS]
        values += [str(present(unit, pixel)) for unit in CLASSES]
        return self.comma.join(values) + "\n"


def misbehave(options: Options, frame: int, rows: IO[str]) -> None:
    """What goes wrong at a frame."""
    if frame == options.number("crash"):
        print("terminate called after throwing an instance of 'cv::Exception'", flush=True)
        os._exit(3)
    if frame == options.number("segfault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if frame == options.number("leave"):
        os._exit(0)
    if frame == options.number("hang"):
        time.sleep(3600)
    rubbish(options, frame, rows)
    if "slow" in options.how:
        time.sleep(float(options.how["slow"]))
    if "flood" in options.how:
        os.write(1, b"0% 10% " * 20_000)


def rubbish(options: Options, frame: int, rows: IO[str]) -> None:
    """What is no row, or one in the wrong place, whether online or at the end."""
    if frame == options.number("garbage"):
        rows.write("\x00\x01 this is, no row\n")
        rows.flush()
    if frame == options.number("backwards"):
        rows.write(Writer(options).rows(1, 0, online=False))
        rows.flush()


def main(words: list[str]) -> int:
    options = Options(words)
    how = options.how
    if "ignore-term" in how:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "fail" in how:
        print("Can't find AU prediction files, exiting", flush=True)
        return 1
    if "silent" in how:
        time.sleep(3600)
    if "descendant" in how and os.fork() == 0:  # it holds our input and output
        time.sleep(3600)
    if "tell" in how:
        Path(how["tell"]).write_text(f"{' '.join(options.words)}\n{Path.cwd()}")
    writer = Writer(options)
    if "no-file" in how:
        options.rows = Path(os.devnull)
    seen = []
    # Version 1 ends each row with a flush, version 2 does not.
    buffered = options.second or "buffered" in how
    with (
        Path(options.video).open("rb") as video,
        options.rows.open("w", buffering=8192 if buffered else 1) as rows,
    ):
        rows.write(writer.header)
        for frame, pixel in enumerate(pictures(video), 1):
            misbehave(options, frame, rows)
            seen.append(pixel)
            if options.writes(frame):
                rows.write(writer.rows(frame, pixel, online=True))
    print("Postprocessing the Action Unit predictions", flush=True)
    if "hang-at-end" in how:
        time.sleep(3600)
    if "raw" in how:
        return 0
    lines = options.rows.read_text().splitlines(keepends=True)
    with options.rows.open("w") as rows:
        if "crash-at-end" in how:
            os._exit(139)
        rows.write(lines[0] if lines else "")
        for frame, pixel in enumerate(seen, 1):
            if options.writes(frame):
                rows.write(writer.rows(frame, pixel, online=False))
            rubbish(options, frame, rows)
            if frame == options.number("garbage-at-end"):
                rows.write("nan, rubbish\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
