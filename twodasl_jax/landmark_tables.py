"""Index tables between the landmark sets (no JAX: host and device code share them)."""

import numpy as np

LANDMARKS_18_FROM_68 = np.array(
    [
        (17, 17),
        (19, 19),
        (21, 21),
        (22, 22),
        (24, 24),
        (26, 26),
        (36, 36),
        (37, 40),
        (39, 39),
        (42, 42),
        (43, 46),
        (45, 45),
        (31, 31),
        (30, 30),
        (35, 35),
        (48, 48),
        (62, 66),
        (54, 54),
    ]
)
"""``(18, 2)``: each of the 18 landmarks is the mean of these two iBUG-68 points (0-based)."""

LANDMARKS_18_FROM_21 = np.array([i for i in range(21) if i not in (12, 16, 20)])
"""``(18,)`` rows of AFLW-21 that are the 18: all but left ear, right ear and chin."""

LANDMARKS_21_FROM_68: tuple[tuple[int, ...], ...] = (
    *((i,) for i in (17, 19, 21, 22, 24, 26)),  # brows
    *((36,), tuple(range(36, 42)), (39,)),  # image-left eye: corners, and six lid points
    *((42,), tuple(range(42, 48)), (45,)),
    *((2,), (31,), (30,), (35,), (14,)),  # ears from the contour, nose between them
    *((48,), tuple(range(60, 68)), (54,)),  # mouth: corners, and eight inner points
    (8,),
)
"""Each of AFLW's 21 points is the mean of these iBUG-68 points (0-based): for scoring only, where
the lids' mean is nearer to the labelled eye centre than the two points of the 18."""

LANDMARK_IMPORTANCE_18 = np.array(
    [1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 4, 1, 2, 4, 2], np.float32
)
"""The weight mask v: 4 nose tip and mouth centre, 2 eye centres and mouth corners, 1 the rest."""

MIRROR_68 = np.concatenate(
    [
        range(16, -1, -1),  # contour
        range(26, 16, -1),  # brows
        [27, 28, 29, 30, 35, 34, 33, 32, 31],  # nose
        [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40],  # eyes
        [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55],  # outer lips
        [64, 63, 62, 61, 60, 67, 66, 65],  # inner lips
    ]
)
"""``(68,)``: index of each landmark's left-right mirror image."""

MIRROR_18 = np.array([5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 14, 13, 12, 17, 16, 15])
"""``(18,)``: the same for the 18 landmarks."""
