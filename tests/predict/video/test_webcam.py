"""Cameras and windows, with OpenCV's own replaced: no test machine has either."""

import cv2
import numpy as np
import pytest

from twodasl_jax.predict.video.webcam import Window, can_show_windows, open_camera

BLUE_IN_BGR = np.full((8, 10, 3), (255, 0, 0), np.uint8)


class MadeUpCapture:
    """A camera that gives some pictures and then is unplugged."""

    def __init__(self, count, opened=True):
        self.left = count
        self.opened = opened
        self.released = False

    def isOpened(self):  # noqa: N802
        return self.opened

    def set(self, *_):
        return True

    def read(self):
        self.left -= 1
        return (True, BLUE_IN_BGR) if self.left >= 0 else (False, None)

    def release(self):
        self.released = True


@pytest.fixture
def plug_in(monkeypatch):
    def plugged(capture):
        monkeypatch.setattr(cv2, "VideoCapture", lambda device: capture)
        return capture

    return plugged


def test_pictures_come_as_rgb_with_rising_times(plug_in):
    capture = plug_in(MadeUpCapture(3))
    pictures = list(open_camera(0))
    assert len(pictures) == 3
    assert (pictures[0].image == (0, 0, 255)).all()
    times = [picture.time for picture in pictures]
    assert times == sorted(set(times))
    assert capture.released


def test_an_absent_camera_is_one_sentence(plug_in):
    plug_in(MadeUpCapture(0, opened=False))
    with pytest.raises(OSError, match="no camera 3 can be opened"):
        open_camera(3)
    capture = plug_in(MadeUpCapture(0))
    with pytest.raises(OSError, match="camera 3 is there but gives no picture"):
        open_camera(3)
    assert capture.released


def test_the_log_level_is_left_as_it_was(plug_in):
    plug_in(MadeUpCapture(1))
    before = cv2.utils.logging.getLogLevel()
    open_camera(0)
    assert cv2.utils.logging.getLogLevel() == before


@pytest.mark.parametrize(
    ("framework", "platform", "display", "expected"),
    [
        ("", "linux", ":0", False),
        ("QT", "linux", ":0", True),
        ("QT", "linux", "", False),
        ("COCOA", "darwin", "", True),
    ],
)
def test_windows_need_a_toolkit_and_a_screen(monkeypatch, framework, platform, display, expected):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: framework)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert can_show_windows() is expected


@pytest.mark.parametrize(
    ("key", "visible", "goes_on"),
    [(-1, 1, True), (ord("q"), 1, False), (27, 1, False), (-1, 0, False)],
)
def test_a_window_shows_until_the_user_has_enough(monkeypatch, key, visible, goes_on):
    shown, closed = [], []
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda _: key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: visible)
    monkeypatch.setattr(cv2, "destroyWindow", closed.append)
    with Window("title") as window:
        assert window.show(BLUE_IN_BGR[..., ::-1].copy()) is goes_on
    assert (shown[0] == BLUE_IN_BGR).all()
    assert closed == ["title"]
