"""Seeds that do not meet: one number, and names for what is drawn with it."""

import numpy as np


def derived_seed(seed: int, *names: str | int) -> int:
    """A seed of its own for everything that has names of its own.

    Sums such as ``seed + index`` meet: stage 2 of seed 0 would see the faces of stage 1 of seed 1,
    in its order. numpy's `SeedSequence` hashes seed and names instead.

    Args:
      seed: from 0 on.
      names: what it is for, the coarsest first: a stage, a half of the data, the source's number.

    Returns:
      In [0, 2**31); equal arguments give equal seeds, on any machine.

    Raises:
      ValueError: where the seed is no whole number from 0 on.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"the seed is {seed}; expected a whole number from 0 on")
    key = []
    for name in names:
        # Its length first: ("ab", "c") is not ("a", "bc").
        letters = repr(name).encode()
        key += [len(letters), *letters]
    sequence = np.random.SeedSequence(int(seed), spawn_key=tuple(key))
    return int(sequence.generate_state(1)[0]) >> 1
