"""Video files written and read back: pictures, times, turned and broken ones."""

import struct
import sys
import wave
from fractions import Fraction

import chex
import numpy as np
import pytest

from twodasl_jax.predict.video.video_files import VideoReader, VideoWriter

av = pytest.importorskip("av")

BACKGROUND, CORNER = (30, 60, 200), (220, 200, 40)


def picture(height=48, width=64):
    """Red-yellow top left corner on blue."""
    image = np.full((height, width, 3), BACKGROUND, np.uint8)
    image[: height // 2, : width // 2] = CORNER
    return image


def write(path, times, frame_rate=25, image=None):
    with VideoWriter(path, frame_rate=Fraction(frame_rate)) as writer:
        for time in times:
            writer.write(picture() if image is None else image, float(time))
    return path


def write_noise(path, count):
    """Frames that tell nothing of each other: every one takes its share of the file."""
    generator = np.random.default_rng(0)
    with VideoWriter(path) as writer:
        for index in range(count):
            writer.write(generator.integers(0, 256, (64, 64, 3)).astype(np.uint8), index / 25)
    return path


def read(path):
    with VideoReader(path) as reader:
        return list(reader), reader


def copy_with(path, target, change):
    """Copies the packets into another file, whose stream was changed beforehand."""
    with av.open(str(path)) as source, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        change(stream)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return target


def test_pictures_and_times_come_back(tmp_path):
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 12))
    times -= times[0]
    frames, reader = read(write(tmp_path / "made" / "vàriable rate.mp4", times))
    # The clock has 90,000 ticks per second.
    chex.assert_trees_all_close(np.array([frame.time for frame in frames]), times, atol=1e-5)
    chex.assert_shape([frame.image for frame in frames], (48, 64, 3))
    # H.264 at this quality keeps plain patches within a few of 255 levels.
    assert np.abs(frames[5].image[4:20, 4:28].astype(int) - CORNER).max() < 8
    assert np.abs(frames[5].image[30:, 40:].astype(int) - BACKGROUND).max() < 8
    assert reader.num_frames == 12
    assert reader.problem is None


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_rate_and_duration_are_kept(tmp_path, rate):
    times = np.arange(20) / float(rate)
    path = write(tmp_path / "a.mp4", times, frame_rate=rate)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(float(rate), rel=1e-4)
        assert float(stream.duration * stream.time_base) == pytest.approx(20 / rate, abs=1e-3)
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"


def test_odd_sides_lose_a_pixel(tmp_path):
    frames, _ = read(write(tmp_path / "a.mp4", [0, 0.04], image=picture(49, 65)))
    chex.assert_shape(frames[0].image, (48, 64, 3))


def patched(path, target, matrix):
    """The file with another display matrix in its track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    assert data[start] == 0  # version 0: four-byte times
    struct.pack_into(">9i", data, start + 40, *matrix)
    target.write_bytes(data)
    return target


# What FFmpeg 9 makes of these by itself; compared pixel by pixel when this was written.
@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, -1, 1, 0), np.rot90),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
    ],
)
def test_a_phones_note_turns_and_mirrors_the_picture(tmp_path, matrix, shown):
    a, b, c, d = (value << 16 for value in matrix)
    path = patched(
        write(tmp_path / "a.mp4", [0, 0.04]), tmp_path / "b.mp4", (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    )
    frames, reader = read(path)
    for frame in frames:
        expected = shown(picture())
        assert frame.image.shape == expected.shape
        # H.264 at this quality keeps plain patches within a few of 255 levels.
        assert np.abs(frame.image.astype(int) - expected).mean() < 8
    assert reader.problem is None


def test_an_odd_turn_is_told(tmp_path):
    path = copy_with(
        write(tmp_path / "a.mp4", [0, 0.04]),
        tmp_path / "b.mp4",
        lambda stream: stream.set_display_rotation(100.0),
    )
    frames, reader = read(path)
    chex.assert_shape(frames[0].image, (64, 48, 3))
    assert "asks to be turned by -100°: the nearest quarter turn was taken" in reader.problem


def test_a_note_inside_the_stream_holds_until_the_next(tmp_path):
    source = write(tmp_path / "a.mp4", np.arange(6) / 25)
    with av.open(str(source)) as reading, av.open(str(tmp_path / "b.mp4"), "w") as copy:
        template = reading.streams.video[0]
        stream = copy.add_stream_from_template(template)
        name = "h264_metadata=display_orientation=insert:flip=horizontal"
        noted = av.bitstream.BitStreamFilterContext(name, template)
        for packet in reading.demux(video=0):
            for changed in noted.filter(packet if packet.dts is not None else None):
                changed.stream = stream
                copy.mux(changed)
    frames, _ = read(tmp_path / "b.mp4")
    assert len(frames) == 6
    for frame in frames:
        assert np.abs(frame.image.astype(int) - picture()[:, ::-1]).mean() < 8


def test_a_note_that_changes_midway_keeps_the_size(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", [0, 0.04])
    with VideoReader(path) as reader:
        lying = iter([None, np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])])
        taken = reader._picture

        def turning(frame):
            reader._matrix = next(lying)
            return taken(frame)

        monkeypatch.setattr(reader, "_picture", turning)
        first, second = list(reader)
    chex.assert_equal_shape([first.image, second.image])
    assert not second.image[:, :10].any()  # black beside the picture that stands upright


def test_pixels_become_square(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        frame = av.VideoFrame.from_ndarray(picture(), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    chex.assert_shape(read(path)[0][0].image, (48, 96, 3))


def test_a_file_that_ends_early_gives_what_it_has(tmp_path):
    path = write_noise(tmp_path / "a.mp4", 50)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])  # the index stands at the front
    frames, reader = read(path)
    assert 5 < len(frames) < 45
    assert "it ends after" in reader.problem
    assert "says it lasts 2.0 s" in reader.problem


def test_damage_in_the_middle_is_told(tmp_path):
    path = write_noise(tmp_path / "a.mp4", 30)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 5] = bytes(len(data) // 5)
    path.write_bytes(data)
    frames, reader = read(path)
    assert 5 < len(frames) < 30
    assert "cannot be decoded" in reader.problem


def test_without_pyav_its_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"'av' is not installed: pip install -e '\.\[video\]'"):
        VideoReader(tmp_path / "a.mp4")


def test_what_is_no_video_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no video at .*absent\.mp4"):
        VideoReader(tmp_path / "absent.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(ValueError, match=r"text\.mp4 is no video that FFmpeg can read"):
        VideoReader(text)
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    with pytest.raises(ValueError, match=r"has no pictures, only audio"):
        VideoReader(sound)


def test_a_video_without_a_frame_is_refused(tmp_path):
    path = write(tmp_path / "a.mp4", np.arange(5) / 25)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    with VideoReader(path) as reader, pytest.raises(ValueError, match="has no frame"):
        list(reader)


def write_and_fail(path, images):
    with VideoWriter(path) as writer:
        for index, image in enumerate(images):
            writer.write(image, index / 25)
        raise RuntimeError("stop")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_error_leaves_nothing(tmp_path, count):
    with pytest.raises(RuntimeError, match="stop"):
        write_and_fail(tmp_path / "a.mp4", [picture()] * count)
    assert list(tmp_path.iterdir()) == []


def test_nothing_written_is_no_file(tmp_path):
    write(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_file_before(tmp_path):
    path = write(tmp_path / "a.mp4", [0.0])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"a frame is \(10, 10, 3\)"):
        write_and_fail(path, [picture(), np.zeros((10, 10, 3), np.uint8)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_where_it_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"'a\.avi'.*its ending must be one of \.mp4"):
        VideoWriter(tmp_path / "a.avi")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), VideoWriter(tmp_path / "file" / "a.mp4") as writer:
        writer.write(picture(), 0.0)


def broken(*_args, **_kwargs):
    raise av.error.ExternalError(-542398533, "Generic error in an external library", "here")


@pytest.mark.parametrize("where", ["open", "mux", "close"])
def test_errors_of_ffmpeg_are_one_sentence_and_leave_nothing(tmp_path, monkeypatch, where):
    class Broken:
        """A container one of whose calls fails."""

        def __init__(self, container):
            self.container = container

        def __getattr__(self, name):
            return broken if name == where else getattr(self.container, name)

    opened = av.open
    monkeypatch.setattr(
        av, "open", broken if where == "open" else lambda *a, **k: Broken(opened(*a, **k))
    )
    message = r"cannot write .*a\.mp4: Generic error in an external library; choose another folder"
    with pytest.raises(OSError, match=message):
        write(tmp_path / "a.mp4", np.arange(4) / 25)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path):
    def interrupted():
        with VideoWriter(tmp_path / "a.mp4") as writer:
            writer.write(picture(), 0.0)
            writer.write(picture(), 0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_without_h264_is_told_before_the_work(tmp_path, monkeypatch):
    def unknown(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", unknown)
    with pytest.raises(ValueError, match=r"cannot encode H\.264 \(FFmpeg without libx264\)"):
        VideoWriter(tmp_path / "a.mp4")


def test_a_frame_that_cannot_be_converted_is_told(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", [0.0, 0.04])

    class Unconvertible:
        time = 0.0
        to_ndarray = broken

    with VideoReader(path) as reader:
        monkeypatch.setattr(reader, "_decoded", lambda: iter([Unconvertible()]))
        with pytest.raises(OSError, match=r"cannot read .*a\.mp4: Generic error"):
            list(reader)
