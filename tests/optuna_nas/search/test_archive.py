from __future__ import annotations

from optuna_nas.search import Archive


def test_running_becomes_finished():
    archive = Archive()
    archive.start(0, "a")
    assert archive.knows_any(["x", "a"])
    archive.finish(0, "b")  # it turned out to be something else
    assert archive.knows_any(["b"])
    assert not archive.knows_any(["a", "x"])


def test_two_runs_of_one_architecture():
    archive = Archive()
    archive.start(0, "a")
    archive.start(1, "a")
    archive.start(1, "b")
    assert archive.knows_any(["a"])
    archive.start(0, "c")
    assert not archive.knows_any(["a"])


def test_identities_are_asked_for_one_by_one():
    archive = Archive()
    archive.finish(0, "a")

    def identities():
        yield "a"
        raise AssertionError("the first was enough")

    assert archive.knows_any(identities())


def test_a_run_that_others_share():
    archive = Archive()
    archive.start(0, "a")
    assert not archive.is_shared(0)
    archive.start(1, "a")
    assert archive.is_shared(0)
    archive.start(1, "b")
    assert not archive.is_shared(0)
    archive.finish(2, "a")
    assert archive.is_shared(0)
    assert not archive.is_shared(3)  # nobody knows what it is to be
