"""A worker's signs of life."""

from __future__ import annotations

import threading

import pytest

from keras_nas.heartbeat import Heartbeat


def test_beats_at_once_and_again_until_the_end() -> None:
    beats = threading.Semaphore(0)
    with Heartbeat(beats.release, 0.001):
        for _ in range(3):
            assert beats.acquire(timeout=30)
    while beats.acquire(blocking=False):
        pass
    assert not beats.acquire(timeout=0.05)


def test_an_error_in_the_block_ends_it() -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Heartbeat(lambda: None, 60):
        raise KeyboardInterrupt
    assert threading.active_count() == before


def test_a_beat_that_fails_does_not_disturb_the_training() -> None:
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise ConnectionError

    with Heartbeat(fail, 0.001):
        assert failed.wait(30)
