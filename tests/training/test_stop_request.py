"""Signals: when they are acted on, and that what is told is true."""

import gc
import signal
import sys
import time

import pytest

from twodasl_jax.training.stop_request import (
    EXIT_STATUS,
    SIGNALS,
    TrainingInterrupted,
    stop_noted,
    stopping_at_once,
)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_noted_signal_is_noted_only(number):
    with stop_noted() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()


def test_a_second_signal_acts_as_usual():
    with stop_noted() as stop:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert stop.is_set()


@pytest.mark.parametrize("number", SIGNALS)
def test_at_once_ends_the_context_with_a_status_of_its_own(number):
    with pytest.raises(TrainingInterrupted, match="while it draws") as stopped, _drawing():
        signal.raise_signal(number)
    assert stopped.value.code == EXIT_STATUS == 75


def _drawing():
    return stopping_at_once("stopped while it draws")


def test_within_it_a_signal_may_be_noted_and_a_second_one_ends_it():
    with _drawing(), stop_noted() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()
        with pytest.raises(TrainingInterrupted, match="while it draws"):
            signal.raise_signal(signal.SIGTERM)


def test_a_stop_is_no_exception_that_work_may_survive():
    def one_photograph_of_many():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("was taken for a failure of the work")

    with pytest.raises(TrainingInterrupted), _drawing():
        one_photograph_of_many()


def test_a_signal_within_a_callback_of_the_garbage_collector_is_not_lost():
    """No exception leaves such a callback, and JAX has one: the run would go on to its end."""

    def collecting(_phase, _told):
        gc.callbacks.remove(collecting)
        signal.raise_signal(signal.SIGTERM)

    def go_on():
        gc.callbacks.append(collecting)
        gc.collect()
        time.sleep(5)
        pytest.fail("went on")

    usual = sys.unraisablehook
    with pytest.raises(TrainingInterrupted, match="while it draws"), _drawing():
        go_on()
    assert sys.unraisablehook is usual
