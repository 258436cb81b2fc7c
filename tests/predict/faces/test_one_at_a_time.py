"""Calls of one function from many threads take turns."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from twodasl_jax.predict.faces.one_at_a_time import one_at_a_time


def test_threads_take_turns():
    inside, most = 0, 0

    @one_at_a_time
    def work(number):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        return number

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(40))) == list(range(40))
    assert most == 1


def test_a_failure_lets_the_next_one_in():
    @one_at_a_time
    def fail(sentence):
        raise ValueError(sentence)

    for sentence in ("first", "second"):
        with pytest.raises(ValueError, match=sentence):
            fail(sentence)
