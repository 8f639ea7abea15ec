"""I3D: face crops → features of motion and appearance, of a whole video or of short clips."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamdeid.inference.session import Session, States
from streamdeid.observations import FaceCrop, MotionFeatures
from streamdeid.stages.clips import ClipBuffer

InputRange: TypeAlias = Literal["-1..1", "0..1"]
"""What 0..255 is mapped to. The network was trained on -1..1; fsmetric feeds it 0..1."""

# One row of features stands for 16 frames, and the next one begins 8 frames later.
_WINDOW: Final = 16
_STEP: Final = 8
_SHAPE: Final = (3, 224, 224)
_NO: Final = np.array([0], np.int64)
_YES: Final = np.array([1], np.int64)


@dataclass
class _Context:
    """What has been seen of crops that follow one another in equal steps.

    Attributes:
        states: what the network needs of the crops that it has seen.
        first_index: of the first crop.
        taken: crops that the network has seen.
        waiting: crops collected for its next call.
        rows: let out so far.
    """

    states: States
    first_index: int = 0
    taken: int = 0
    waiting: int = 0
    rows: int = 0


class ContinualI3D:
    """I3D's features of a whole video, while it goes by, with memory that does not grow.

    They are those of the whole video as one clip: `average pool (2, 7, 7)` of the last layer,
    T/8 - 1 rows for T frames, equal to a network that sees all frames at once within 3e-6
    (features, of values up to 1.6) and 3e-5 (logits, up to 12), whatever the chunk. Each frame is
    computed once; what later frames need of earlier ones is a state of 16 MB. The last T mod 8
    frames are left out: with them, the network would pad all that came before in another way.

    Chunks save time: 8 frames at once cost 6 to 10 % more each than 16, and 16 take 110 MB more.

    Args:
        session: the manifest's model for "motion"; may be shared between sides and threads.
        chunk: crops collected for one call of the model, a multiple of 8.
        input_range: see `InputRange`.

    Attributes:
        unused: crops so far that no context had room for: the last few of each, and all of
            contexts of less than 16 crops.

    Source: Carreira and Zisserman 2017, arXiv:1705.07750; weights of Kinetics-400.
    """

    name = "motion"
    delay: int | None = None
    stride = _STEP

    def __init__(
        self, session: Session, *, chunk: int = 8, input_range: InputRange = "-1..1"
    ) -> None:
        if chunk < _STEP or chunk % _STEP:
            raise ValueError(f"chunk is {chunk}, but must be a multiple of {_STEP}")
        self._session = session
        self._input_range = input_range
        self._frames = np.empty((chunk, *_SHAPE), np.float32)
        self.unused = 0
        self._context = _Context(session.new_states())

    def push(self, item: FaceCrop) -> Iterable[MotionFeatures]:
        """Take one crop; give the rows that have become known.

        A crop `after_gap` begins a new context; the old one is ended as `flush` does.
        """
        if item.after_gap:
            yield from self._end()
        context = self._context
        if context.taken + context.waiting == 0:
            context.first_index = item.index
        to_network_range(item.planes, self._input_range, out=self._frames[context.waiting])
        context.waiting += 1
        if context.waiting == len(self._frames):
            yield from self._run(len(self._frames), last=False)

    def flush(self) -> Iterable[MotionFeatures]:
        """The last rows: the video is padded behind its end."""
        yield from self._end()

    def reset(self) -> None:
        """Begin a new context without ending the old one: its last rows are not let out."""
        context = self._context
        covered = (context.rows + 1) * _STEP if context.rows else 0
        self.unused += context.taken + context.waiting - covered
        self._context = _Context(self._session.new_states())

    def _end(self) -> Iterable[MotionFeatures]:
        usable = self._context.waiting // _STEP * _STEP
        if self._context.taken + usable >= _WINDOW:
            yield from self._run(usable, last=True)
        self.reset()

    def _run(self, count: int, *, last: bool) -> Iterable[MotionFeatures]:
        """Hand the first `count` collected crops to the network."""
        context = self._context
        (features, logits), context.states = self._session.step(
            context.states,
            frames=self._frames[:count],
            first=_NO if context.taken else _YES,
            last=_YES if last else _NO,
        )
        context.taken += count
        context.waiting -= count
        for row, classes in zip(features, logits, strict=True):
            first = context.first_index + context.rows * _STEP
            context.rows += 1
            yield MotionFeatures(row, classes, first)


class I3DClips:
    """I3D's logits of short clips, each on its own: what FVD compares.

    Every clip is padded with zeros before its first and behind its last frame, as if there were
    no others. A row of a longer clip is the mean over time, as the network's own output is.

    Args:
        session: as of ContinualI3D.
        length: crops in a clip, a multiple of 8, at least 16, which is FVD's.
        stride: crops from the beginning of a clip to that of the next. With the default each crop
            counts once, in one clip.

    Attributes:
        unused: crops so far that ended up in no clip, because a gap or the end came before.

    Source: Unterthiner et al. 2018, arXiv:1812.01717: logits of clips of 16 frames, 224x224,
        -1..1. StyleGAN-V (Skorokhodov et al. 2022, arXiv:2112.14683) shows how much the choice of
        clips matters, and keeps the length of 16.
    """

    name = "clips"

    def __init__(self, session: Session, *, length: int = 16, stride: int = 16) -> None:
        if length < _WINDOW or length % _STEP:
            raise ValueError(f"length is {length}, but must be 16, 24, 32, ...")
        self._session = session
        self._clips = ClipBuffer[FaceCrop](length, stride)
        self._frames = np.empty((_STEP, *_SHAPE), np.float32)
        self.delay: int | None = self._clips.delay
        self.stride = stride
        self.unused = 0
        self._since_clip = 0

    def push(self, item: FaceCrop) -> Iterable[MotionFeatures]:
        """Take one crop; give the row of the clip that it completes."""
        if item.after_gap:
            self.reset()
        self._since_clip += 1
        for clip in self._clips.push(item):
            self._since_clip = 0
            yield self._row(clip)

    def flush(self) -> Iterable[MotionFeatures]:
        self.reset()
        return ()

    def reset(self) -> None:
        self.unused += self._since_clip
        self._since_clip = 0
        self._clips.reset()

    def _row(self, clip: Sequence[FaceCrop]) -> MotionFeatures:
        # Piece by piece, as ContinualI3D: calls of one size need no more memory than one of them.
        states = self._session.new_states()
        rows: list[NDArray[np.float32]] = []
        classes: list[NDArray[np.float32]] = []
        for start in range(0, len(clip), _STEP):
            for crop, frame in zip(clip[start : start + _STEP], self._frames, strict=True):
                to_network_range(crop.planes, "-1..1", out=frame)
            (features, logits), states = self._session.step(
                states,
                frames=self._frames,
                first=_NO if start else _YES,
                last=_YES if start + _STEP == len(clip) else _NO,
            )
            rows.extend(features)
            classes.extend(logits)
        return MotionFeatures(
            np.mean(rows, axis=0), np.mean(classes, axis=0), clip[0].index, len(clip)
        )


def to_network_range(
    planes: NDArray[np.float32], input_range: InputRange, out: NDArray[np.float32]
) -> None:
    """Write `planes`, 0..255, into `out` in the range that the network is fed.

    Raises:
        ValueError: the crop is not 224 pixels wide and high.
    """
    if planes.shape != _SHAPE:
        raise ValueError(f"I3D wants crops of shape {_SHAPE}, not {planes.shape}")
    if input_range == "-1..1":
        np.divide(planes, np.float32(127.5), out=out)
        out -= 1
    else:
        np.divide(planes, np.float32(255), out=out)
