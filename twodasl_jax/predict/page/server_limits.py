"""What the server takes at once: bodies, waiting pictures, kept results, all bounded in memory.

Pictures are decoded and reconstructed one at a time: the detector and the network use all cores, so
a second would only slow the first down, and would take memory of its own. Those that wait are held
as they were uploaded, at most `Limits.max_waiting` of them.
"""

import asyncio
import collections
import io
import secrets
import time
from typing import NamedTuple

import numpy as np
from starlette.requests import Request

from twodasl_jax.predict.faces.reconstruct import Reconstruction


class Limits(NamedTuple):
    """Bounds on memory and time.

    Attributes:
      max_upload_bytes: larger uploads are refused, unread where they announce their size.
      max_waiting: uploads that are read, wait or are worked on; further ones are refused.
      max_kept: photographs that are kept with their faces; newer ones push older ones out.
      max_kept_bytes: of their pixels, though the newest is always kept.
      kept_seconds: after which a result is no longer given.
      pause_seconds: the longest pause between two pieces of an upload.
      body_seconds: the longest time for a whole one.
    """

    max_upload_bytes: int = 20_000_000
    max_waiting: int = 8
    max_kept: int = 4
    max_kept_bytes: int = 250_000_000
    kept_seconds: float = 3600.0
    pause_seconds: float = 15.0
    body_seconds: float = 120.0


class RefusedError(Exception):
    """An answer that is no success: its status, one sentence and headers."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers


class Upload(NamedTuple):
    """A photograph and its faces, kept to be looked at and downloaded.

    Attributes:
      name: of the uploaded file, without its ending.
      image: ``(height, width, 3)`` uint8 RGB.
      faces: at least one.
    """

    name: str
    image: np.ndarray
    faces: list[Reconstruction]


class KeptUploads:
    """The last photographs with their faces, by keys that nobody can guess."""

    def __init__(self, limits: Limits) -> None:
        """Keeps nothing yet."""
        self._limits = limits
        self._uploads: collections.OrderedDict[str, tuple[float, Upload]] = (
            collections.OrderedDict()
        )

    def add(self, upload: Upload) -> str:
        """Keeps one, lets go of older ones, and returns its key."""
        key = secrets.token_urlsafe(12)
        self._uploads[key] = time.monotonic(), upload
        self.forget_old()
        while len(self._uploads) > 1 and (
            len(self._uploads) > self._limits.max_kept
            or sum(kept.image.nbytes for _, kept in self._uploads.values())
            > self._limits.max_kept_bytes
        ):
            self._uploads.popitem(last=False)
        return key

    def get(self, key: str) -> Upload | None:
        """The one of a key, if it is still kept."""
        self.forget_old()
        kept = self._uploads.get(key)
        return None if kept is None else kept[1]

    def forget_old(self) -> None:
        """Lets go of those whose time is over."""
        oldest = time.monotonic() - self._limits.kept_seconds
        while self._uploads and next(iter(self._uploads.values()))[0] < oldest:
            self._uploads.popitem(last=False)


async def read_body(request: Request, limits: Limits) -> io.BytesIO:
    """The body of an upload.

    Raises:
      RefusedError: for one that is too large, as soon as that is known, or too slow.
      ClientDisconnect: where the client left.
    """
    too_large = RefusedError(
        413,
        f"The file is larger than {limits.max_upload_bytes / 1e6:g} MB; make the picture smaller.",
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limits.max_upload_bytes:
        raise too_large
    body, pieces = io.BytesIO(), request.stream()
    try:
        async with asyncio.timeout(limits.body_seconds):
            while True:
                async with asyncio.timeout(limits.pause_seconds):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                body.write(piece)
                if body.tell() > limits.max_upload_bytes:
                    raise too_large
    except TimeoutError:
        raise RefusedError(
            408, "The upload stopped on its way or was too slow; send it again.", Connection="close"
        ) from None
    body.seek(0)
    return body
