"""What counts as another scene."""

import chex
import cv2
import numpy as np
import pytest

from twodasl_jax.predict.video.scene_cuts import SceneCutDetector, correlation


def scene(seed):
    """Soft coloured patches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)


def cuts(*frames):
    is_cut = SceneCutDetector()
    return [is_cut(frame) for frame in frames]


def test_another_scene_is_a_cut_once():
    first, second = scene(0), scene(1)
    assert cuts(first, first, second, second, first) == [False, False, True, False, True]


def test_a_pan_and_noise_are_none():
    generator = np.random.default_rng(2)
    frames = [np.roll(scene(0), 6 * index, axis=1) for index in range(10)]
    noisy = [
        np.clip(frame + generator.normal(0, 12, frame.shape), 0, 255).astype(np.uint8)
        for frame in frames
    ]
    assert not any(cuts(*noisy))


def test_a_flash_is_none():
    dark = scene(0) // 3
    bright = np.clip(dark.astype(int) + 90, 0, 255).astype(np.uint8)
    assert cuts(dark, bright, dark) == [False, False, False]


def test_bars_do_not_hide_a_cut():
    first, second = scene(0), scene(1)
    first[:90], first[150:], second[:90], second[150:] = 0, 0, 0, 0
    assert cuts(first, second, second) == [False, True, False]


def test_darkness_is_none():
    assert cuts(*[np.zeros((240, 320, 3), np.uint8)] * 3) == [False] * 3


def test_black_to_a_picture_is_one():
    assert cuts(np.zeros((240, 320, 3), np.uint8), scene(0)) == [False, True]


def test_correlation_is_pearsons():
    first, second = np.random.default_rng(3).normal(size=(2, 5, 7))
    # float64: rounding only.
    chex.assert_trees_all_close(
        correlation(first, second), np.corrcoef(first.ravel(), second.ravel())[0, 1], rtol=1e-9
    )
    assert correlation(first, 3 * first + 5) == pytest.approx(1.0)
    assert correlation(first, np.ones_like(first)) == 0.0
