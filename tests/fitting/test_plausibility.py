"""Where fitted heads are seen from, against rotations that are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from twodasl_jax.coefficients import NUM_COEFFICIENTS
from twodasl_jax.fitting.plausibility import (
    EXCHANGED,
    MIRRORED,
    TURNED,
    Y_UP,
    head_view,
    why_set_turned_away,
    why_set_upside_down,
    why_turned_away,
)

# What each mistake does to the picture's axes (view frame, y up), and to the handedness of the
# rotation: a camera without perspective sees the mirrored head as one that is turned away.
MISTAKES = {
    Y_UP: np.diag([1.0, -1, -1]),
    MIRRORED: np.diag([-1.0, 1, -1]),
    EXCHANGED: np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]]),
}


def coefficients(rotations):
    found = np.zeros((len(rotations), NUM_COEFFICIENTS))
    found[:, :12] = np.pad(0.3 * rotations, [(0, 0), (0, 0), (0, 1)]).reshape(-1, 12)
    return found


def heads(count=20, yaw=50.0, roll=15.0, seed=0):
    """Rotations of heads that are turned by up to these angles, degrees."""
    angles = np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * [roll, 25, yaw]
    return Rotation.from_euler("ZXY", angles, degrees=True).as_matrix()


FRONT = [(0, 0), (60, 0), (-60, 40), (0, 115), (0, -115)]
BEHIND = [(100, 0), (-100, 0), (140, 20), (180, 0), (0, 150)]


@pytest.mark.parametrize(("pitch", "yaw"), [*FRONT, *BEHIND])
def test_heads_are_seen_from_the_front_whatever_their_roll(pitch, yaw):
    seen = (pitch, yaw) in FRONT
    for roll in (0, 70, 180, -130):
        turned = Rotation.from_euler("ZXY", [roll, pitch, yaw], degrees=True).as_matrix()
        view = head_view(coefficients(turned[None]))
        assert view.from_front[0] == seen
        assert (why_turned_away(view, 0) is None) == seen


def test_angles_are_those_of_the_camera_around_the_head():
    turned = Rotation.from_euler("ZXY", [30, 20, 40], degrees=True).as_matrix()
    view = head_view(coefficients(turned[None]))
    np.testing.assert_allclose(np.abs(view.azimuth_degrees), 40, atol=1e-6)
    np.testing.assert_allclose(np.abs(view.elevation_degrees), 20, atol=1e-6)
    rolled = head_view(coefficients(Rotation.from_euler("Z", [[90.0]], degrees=True).as_matrix()))
    np.testing.assert_allclose(np.abs(rolled.turn_degrees), 90, atol=1e-6)


def test_right_sets_pass():
    for chosen in (heads(), heads(yaw=95), heads(2), heads(1), heads(40, roll=180)):
        view = head_view(coefficients(chosen))
        assert why_set_turned_away(view) is None
        assert why_set_upside_down(view) is None


@pytest.mark.parametrize("cause", MISTAKES)
@pytest.mark.parametrize("count", [1, 3, 30])
def test_mirrored_sets_are_refused_with_their_cause(cause, count):
    view = head_view(coefficients(MISTAKES[cause] @ heads(count)))
    assert (
        why_set_turned_away(view)
        == f"{count} of {count} fitted heads are seen from behind: {cause}"
    )
    assert cause in why_turned_away(view, 0)


def test_one_mirrored_face_is_no_mistake_of_the_set():
    chosen = np.concatenate([MISTAKES[Y_UP] @ heads(1), heads(2)])
    view = head_view(coefficients(chosen))
    assert why_set_turned_away(view) is None
    assert [why_turned_away(view, row) is None for row in range(3)] == [False, True, True]


@pytest.mark.parametrize("cause", MISTAKES)
def test_profiles_do_not_vouch_for_the_one_mirrored_face_of_a_small_set(cause):
    profiles = Rotation.from_euler("ZXY", [[0, 0, 85], [5, 3, -88]], degrees=True).as_matrix()
    chosen = MISTAKES[cause] @ np.concatenate([heads(1), profiles])
    told = why_set_turned_away(head_view(coefficients(chosen)))
    assert told == f"1 of 3 fitted heads are seen from behind: {cause}"
    vouched = np.concatenate([chosen, heads(1)])
    assert why_set_turned_away(head_view(coefficients(vouched))) is None
    assert why_set_turned_away(head_view(coefficients(profiles))) is None


def test_profiles_with_y_up_are_upside_down():
    chosen = Rotation.from_euler("ZXY", [[0, 0, 85], [5, 3, -88]] * 6, degrees=True).as_matrix()
    assert why_set_upside_down(head_view(coefficients(chosen))) is None
    view = head_view(coefficients(MISTAKES[Y_UP] @ np.concatenate([chosen, heads(1)])))
    assert why_set_turned_away(view) is None
    assert why_set_upside_down(view).endswith(Y_UP)


def test_sets_that_stand_on_their_heads():
    turned = np.diag([-1.0, -1, 1]) @ heads(12)
    assert why_set_upside_down(head_view(coefficients(turned))).endswith(TURNED)
    assert why_set_upside_down(head_view(coefficients(turned[:7]))) is None  # a few may be
    some = np.concatenate([turned, heads(4)])
    assert why_set_upside_down(head_view(coefficients(some))) is None
