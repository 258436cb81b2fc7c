import numpy as np
import pytest

from twodasl_jax.rendering.backgrounds import natural_colours, photo_like_backgrounds


@pytest.fixture(scope="module")
def pictures():
    return photo_like_backgrounds(np.random.default_rng(0), 60)


def test_shape_and_seed(pictures):
    assert pictures.shape == (60, 120, 120, 3)
    assert pictures.dtype == np.uint8
    again = photo_like_backgrounds(np.random.default_rng(0), 2)
    np.testing.assert_array_equal(again, pictures[:2])
    assert (pictures[0] != photo_like_backgrounds(np.random.default_rng(1), 1)[0]).mean() > 0.5


def test_drawing_in_chunks_changes_nothing(pictures):
    generator = np.random.default_rng(0)
    chunks = [photo_like_backgrounds(generator, 3), photo_like_backgrounds(generator, 2)]
    np.testing.assert_array_equal(np.concatenate(chunks), pictures[:5])


def test_they_are_pictures_not_flat_colours(pictures):
    spread = pictures.reshape(60, -1, 3).std(axis=1).mean(axis=1)
    # A flat colour has 0; an 8-bit photograph of surroundings has tens.
    assert (spread > 2).all()
    assert np.median(spread) > 15


def test_amplitude_falls_with_frequency_as_in_photographs(pictures):
    grey = pictures.mean(axis=3)
    power = np.abs(np.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))) ** 2
    frequency = np.fft.fftfreq(120) * 120
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    bands = [(1, 3), (3, 6), (6, 12), (12, 24), (24, 48)]
    levels = [power[:, (radius >= low) & (radius < high)].mean() for low, high in bands]
    assert (np.diff(levels) < 0).all()
    # 1/f amplitude is 1/f² power: 256 times from the first band to the last; natural
    # images scatter around that by about one order of magnitude.
    assert 25 < levels[0] / levels[-1] < 25_000


def test_colours_are_within_range_and_mostly_muted():
    colours = natural_colours(np.random.default_rng(0), 1000)
    assert colours.shape == (1000, 3)
    assert colours.min() >= 0
    assert colours.max() <= 255
    saturation = np.ptp(colours, axis=1) / colours.max(axis=1)
    # Beta(1.2, 4) has its median at 0.2; the range over channels is up to 1.7 times that.
    assert np.median(saturation) < 0.4


def test_refuses_no_pictures():
    with pytest.raises(ValueError, match="count is 0"):
        photo_like_backgrounds(np.random.default_rng(0), 0)
