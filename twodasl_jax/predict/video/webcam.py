"""Pictures of a camera, and a window to show them in, where OpenCV has one.

The camera is read by OpenCV, which knows the cameras of every system. The package depends on
``opencv-python-headless``, which has no windows; with ``opencv-python`` in its place there is one.
"""

import os
import sys
import time
from collections.abc import Iterator

import cv2
import numpy as np

from twodasl_jax.predict.video.video_files import VideoFrame

_QUIT_KEYS = (ord("q"), 27)  # 27: Escape


def open_camera(device: int) -> Iterator[VideoFrame]:
    """The pictures of a camera as they come, until it is unplugged.

    Pictures that come while one is being worked on are skipped where the driver can, so that
    what is shown is now.

    Args:
      device: number of the camera, 0 is the first.

    Returns:
      Pictures with the time since the first; at least one.

    Raises:
      OSError: where there is no such camera, or it gives no picture.
    """
    level = cv2.utils.logging.getLogLevel()
    # OpenCV's lines on absent drivers say less than the sentence below.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(device)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        raise OSError(
            f"no camera {device} can be opened; expected the number of a camera that is "
            "plugged in, allowed to be used, and not in use (0 is the first)"
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    there, picture = capture.read()
    if not there:
        capture.release()
        raise OSError(f"camera {device} is there but gives no picture; is it in use?")
    return _pictures(capture, picture)


def _pictures(capture: cv2.VideoCapture, first: np.ndarray) -> Iterator[VideoFrame]:
    picture, there, began = first, True, time.monotonic()
    try:
        while there:
            image = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            yield VideoFrame(image, time.monotonic() - began)
            there, picture = capture.read()
    finally:
        capture.release()


def can_show_windows() -> bool:
    """Whether this OpenCV can open a window, and there is a screen to open it on."""
    if not cv2.currentUIFramework():
        return False
    has_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return has_screen or not sys.platform.startswith("linux")


class Window:
    """A window that shows pictures until it is closed, or Q or Escape is pressed."""

    def __init__(self, title: str) -> None:
        """Opens the window.

        Args:
          title: above it.
        """
        self._title = title
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: np.ndarray) -> bool:
        """Shows a picture; False where the user wants no more.

        Args:
          image: ``(height, width, 3)`` uint8 RGB.
        """
        cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        is_open = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        return is_open and key not in _QUIT_KEYS

    def close(self) -> None:
        """Closes the window."""
        cv2.destroyWindow(self._title)

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
