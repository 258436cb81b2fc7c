"""Reading and writing video files, frame by frame, by PyAV (the FFmpeg libraries).

OpenCV, which the package has anyway, writes no H.264 (its wheels carry no encoder for it), drops
time stamps, and ends silently at a broken frame; the ffmpeg program of imageio-ffmpeg takes frames
through a pipe that has no time stamps either.
"""

import contextlib
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from twodasl_jax.file_errors import naming_write_errors
from twodasl_jax.predict.faces.optional_package import require_package
from twodasl_jax.predict.video.display_matrix import as_displayed, fitted, odd_turn
from twodasl_jax.whole_file import whole_file

VIDEO_ENDINGS = (".mp4", ".mov", ".m4v")
"""Containers that can be written: those in which browsers play H.264."""

_CLOCK = 90_000
"""Ticks per second of written time stamps: MPEG's, a multiple of every usual frame rate."""

_BT709 = 1
"""FFmpeg's number of the colours that players expect of H.264 (ITU-T H.273)."""

_USUAL_RATE = Fraction(25)

_ENCODER = "libx264"


class VideoFrame(NamedTuple):
    """One picture of a video.

    Attributes:
      image: ``(height, width, 3)`` uint8 RGB, upright, with square pixels; of one size in all of
        a video.
      time: seconds from the first frame; later than the frame before's.
    """

    image: np.ndarray
    time: float


class VideoReader:
    """Iterates over the frames of a file; holds one at a time.

    Attributes:
      frame_rate: mean frames per second, as the file says.
      num_frames: how many frames the file says it has, or None.
      problem: after the last frame, what was wrong with the file; None if nothing was.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens the file and finds its first video stream.

        Args:
          path: anything that FFmpeg reads.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: it is no video, or PyAV is not installed.
        """
        self._av = require_package("av", extra="video")
        self._path = Path(path)
        if not self._path.is_file():
            raise FileNotFoundError(f"no video at {path}; expected the path of an MP4 or the like")
        try:
            self._container = self._av.open(str(self._path))
        except self._av.FFmpegError as error:
            raise ValueError(
                f"{path} is no video that FFmpeg can read ({error.strerror})"
            ) from error
        if not self._container.streams.video:
            kinds = sorted({stream.type for stream in self._container.streams})
            self._container.close()
            raise ValueError(f"{path} has no pictures, only {', '.join(kinds)}; expected a video")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or _USUAL_RATE
        # PyAV 19 has rationals of its own.
        self.frame_rate = Fraction(int(rate.numerator), int(rate.denominator))
        self.problem: str | None = None
        self._matrix: np.ndarray | None = None
        # Pixels that are not square (old television) would make faces narrow.
        aspect = self._stream.sample_aspect_ratio or 1
        self._size = round(self._stream.width * aspect), self._stream.height
        duration = self._duration()
        expected = None if duration is None else round(duration * self.frame_rate)
        self.num_frames: int | None = self._stream.frames or expected or None

    def __iter__(self) -> Iterator[VideoFrame]:
        """Decodes the file once.

        Raises:
          ValueError: where not one frame can be decoded.
          OSError: where a decoded frame cannot be turned into a picture.
        """
        first = before = None
        shape: tuple[int, ...] = ()
        unreadable = count = 0
        end = 0.0
        for decoded in self._decoded():
            if decoded is None:
                unreadable += 1
                continue
            time = decoded.time
            if time is None:
                time = 0.0 if before is None else before + float(1 / self.frame_rate)
            first = time if first is None else first
            if before is not None and time <= before:
                unreadable += 1  # it would be shown before the frame before
                continue
            before = time
            count += 1
            end = time - first + float(1 / self.frame_rate)
            picture = self._picture(decoded)
            # A note that changes midway may lay the picture on its side; writers keep one size.
            shape = shape or picture.shape
            yield VideoFrame(fitted(picture, height=shape[0], width=shape[1]), time - first)
        if count == 0:
            raise ValueError(f"{self._path} has no frame that can be decoded")
        self.problem = self._judge(end, unreadable)

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _decoded(self) -> Iterator[Any]:
        """Decoded frames; None for each packet that cannot be decoded."""
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except self._av.FFmpegError:
                    yield None
                else:
                    yield from frames
        except self._av.FFmpegError:  # the container itself is broken from here on
            yield None

    def _picture(self, frame: Any) -> np.ndarray:
        """The frame as it is to be looked at; FFmpeg hangs the file's note on every frame."""
        width, height = self._size
        # A stream that changes its size midway keeps its first.
        try:
            image = frame.to_ndarray(format="rgb24", width=width, height=height)
        except self._av.FFmpegError as error:
            raise OSError(
                f"cannot read {self._path}: {error.strerror}; convert it to H.264 with 8 bits a "
                "colour"
            ) from error
        note = frame.side_data.get("DISPLAYMATRIX")
        if note is not None:  # a note inside the stream stands at key frames and holds on
            self._matrix = np.frombuffer(bytes(note), np.int32).reshape(3, 3)
        return as_displayed(image, self._matrix)

    def _duration(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration is not None:
            return self._container.duration / self._av.time_base
        return None

    def _judge(self, end: float, unreadable: int) -> str | None:
        duration = self._duration()
        # Two frames of slack: containers round, and some count the last frame's time, some do not.
        if duration is not None and end < duration - 2.0 / self.frame_rate:
            return f"it ends after {end:.1f} s, though it says it lasts {duration:.1f} s"
        if unreadable:
            return f"{unreadable} of its parts cannot be decoded"
        return odd_turn(self._matrix)


class VideoWriter:
    """Writes an H.264 file that browsers play; it appears when it is complete.

    Use it as a context: an exception in it removes what was written, and so does closing it
    without a frame. Frames keep their time stamps, so a variable frame rate stays one.
    """

    def __init__(self, path: str | Path, *, frame_rate: Fraction = _USUAL_RATE) -> None:
        """Prepares the file; it is opened by the first frame.

        Args:
          path: ending in one of `VIDEO_ENDINGS`; its folder is made.
          frame_rate: how long the last frame is shown, and a hint for players.

        Raises:
          ValueError: for another ending, or PyAV is not installed, or has no H.264.
        """
        self._av = require_package("av", extra="video")
        self.path = Path(path)
        if self.path.suffix.lower() not in VIDEO_ENDINGS:
            raise ValueError(
                f"cannot write a video named '{self.path.name}'; its ending must be one of "
                f"{', '.join(VIDEO_ENDINGS)}"
            )
        try:
            self._av.Codec(_ENCODER, "w")
        except ValueError as error:  # PyAV's UnknownCodecError
            raise ValueError(
                f"this PyAV cannot encode H.264 (FFmpeg without {_ENCODER}); its wheels can: "
                "pip install --force-reinstall --only-binary av av"
            ) from error
        self._files = contextlib.ExitStack()
        self._frame_rate = frame_rate
        self._container: Any = None
        self._stream: Any = None
        self._waiting: tuple[np.ndarray, float] | None = None
        self._shape: tuple[int, ...] = ()

    def write(self, image: np.ndarray, time: float) -> None:
        """Adds a frame.

        Args:
          image: ``(height, width, 3)`` uint8 RGB, all of one shape; odd sides lose one pixel.
          time: seconds, 0 or more, later than the frame before.

        Raises:
          ValueError: for a frame of another shape.
          OSError: where it cannot be written.
        """
        if self._container is None:
            self._open(image)
        if image.shape != self._shape:
            raise ValueError(f"a frame is {image.shape}, those before {self._shape}")
        # How long a frame is shown is known when the next one comes.
        if self._waiting is not None:
            with self._naming_errors():
                self._encode(*self._waiting, until=time)
        self._waiting = image, time

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.__exit__(kind, error, traceback)

    def _open(self, image: np.ndarray) -> None:
        self._shape = image.shape
        unfinished = self._files.enter_context(whole_file(self.path))
        with self._naming_errors():
            self._container = self._av.open(
                str(unfinished), "w", format="mp4", options={"movflags": "+faststart"}
            )
            self._files.push(self._finish)  # before the file is put in its place
            self._stream = self._container.add_stream(
                _ENCODER,
                rate=self._frame_rate.limit_denominator(65_535),
                options={"crf": "20", "preset": "superfast"},
            )
        # 4:2:0 is what browsers play; it needs even sides.
        self._stream.pix_fmt = "yuv420p"
        self._stream.height, self._stream.width = (
            max(side // 2 * 2, 2) for side in image.shape[:2]
        )
        self._stream.codec_context.time_base = Fraction(1, _CLOCK)
        self._stream.codec_context.colorspace = _BT709
        self._stream.codec_context.color_primaries = _BT709
        self._stream.codec_context.color_trc = _BT709

    def _finish(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Writes what is left and closes; after an error only closes."""
        if kind is not None or self._waiting is None:
            with contextlib.suppress(self._av.FFmpegError):  # the error before says more
                self._container.close()
            return
        image, time = self._waiting
        with self._naming_errors(), contextlib.closing(self._container):
            self._encode(image, time, until=time + float(1 / self._frame_rate))
            self._container.mux(self._stream.encode())

    def _naming_errors(self) -> contextlib.AbstractContextManager[None]:
        return naming_write_errors(self.path, self._av.FFmpegError)

    def _encode(self, image: np.ndarray, time: float, *, until: float) -> None:
        even = np.ascontiguousarray(image[: self._stream.height, : self._stream.width])
        frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts = round(time * _CLOCK)
        frame.duration = max(math.floor((until - time) * _CLOCK + 0.5), 1)
        frame.time_base = Fraction(1, _CLOCK)
        self._container.mux(self._stream.encode(frame))
