import itertools

import numpy as np
import pytest

from twodasl_jax.data.seeds import derived_seed


def test_neighbouring_seeds_and_stages_never_meet():
    """What sums did: stage 2 of seed 0 was stage 1 of seed 1."""
    names = itertools.product(("stage1", "stage2", "supervised"), ("annotated", "in_the_wild"))
    keys = [(seed, *name, number) for name in names for seed in range(50) for number in range(3)]
    assert len({derived_seed(*key) for key in keys}) == len(keys)


def test_it_is_the_same_everywhere_and_fits_grain():
    # Of numpy's SeedSequence, whose streams are guaranteed to stay.
    assert derived_seed(0, "stage", "stage1") == derived_seed(np.int64(0), "stage", "stage1")
    seeds = [derived_seed(2**70, "a", number) for number in range(100)]
    assert 0 <= min(seeds) <= max(seeds) < 2**31


def test_where_one_name_ends_matters():
    assert derived_seed(1, "ab", "c") != derived_seed(1, "a", "bc") != derived_seed(1, "abc")
    assert derived_seed(1, 1) != derived_seed(1, "1")


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True, None])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="expected a whole number from 0 on"):
        derived_seed(seed, "stage1")
