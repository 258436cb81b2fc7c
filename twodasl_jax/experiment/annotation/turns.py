"""Which fitted faces are turned to larger yaw, and how far."""

import numpy as np

LEAST_TURN = 10.0
"""Degrees. Faces that are turned less are hardly new ones."""

MOST_TURN = 50.0
"""Degrees. The cheek of a face that is turned farther was seen too obliquely: its texture is
stretched into streaks."""

LEAST_YAW = 30.0
"""Degrees. Of faces that look straight there are enough."""

LARGEST_YAW = 90.0
"""Degrees. From there on a face turns away from the viewer altogether."""

LARGEST_YAW_BEFORE = 60.0
"""Degrees. Faces beyond are profiles already."""


def choose_turns(
    yaw_degrees: np.ndarray,
    usable: np.ndarray,
    *,
    num_faces: int | None,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws faces and turns away from the viewer; a frontal face turns to the side it is on.

    The new yaw is uniform between `LEAST_TURN` and `MOST_TURN` beyond the old one, and within
    `LEAST_YAW` and `LARGEST_YAW`. Where more faces are asked for than there are, each is turned
    several times, to yaws that lie apart.

    Args:
      yaw_degrees: ``(n,)`` about the heads' own axes (`head_yaw`).
      usable: ``(n,)`` which fits are good enough.
      num_faces: how many to turn; None is each usable one once.
      generator: source of all randomness.

    Returns:
      ``(m,)`` ascending rows, and ``(m,)`` degrees to add to their yaw.

    Raises:
      ValueError: where no face can be turned.
    """
    magnitude = np.abs(yaw_degrees)
    rows = np.flatnonzero(usable & (magnitude < LARGEST_YAW_BEFORE))
    if not len(rows):
        raise ValueError(
            f"none of {len(yaw_degrees)} faces can be turned: {int(usable.sum())} fit well enough "
            f"(--max_residual), none of them with a yaw under {LARGEST_YAW_BEFORE:g} degrees"
        )
    count = len(rows) if num_faces is None else num_faces
    copies = -(-count // len(rows))
    chosen = np.tile(generator.permutation(rows), copies)
    # The k-th copy of a face has the k-th part of its range; the parts' order is the face's own.
    part = (np.arange(len(chosen)) // len(rows) + chosen) % copies
    share = (part + generator.random(len(chosen))) / copies
    highest = np.minimum(magnitude[chosen] + MOST_TURN, LARGEST_YAW)
    lowest = np.maximum(magnitude[chosen] + LEAST_TURN, LEAST_YAW)
    turned = lowest + share * (highest - lowest) - magnitude[chosen]
    turns = np.where(yaw_degrees[chosen] < 0, -turned, turned)
    order = np.argsort(chosen[:count], kind="stable")
    return chosen[:count][order], turns[:count][order]
