"""Jobs that behave, and jobs that do everything a bad candidate may do."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from keras_nas.isolation import (
    Channel,
    JobDiedError,
    JobError,
    JobInterruptedError,
    JobLimitError,
    JobRaisedError,
    LocalWorker,
    Worker,
    WorkerPool,
)
from optuna_nas.errors import NASError


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    """One worker for the jobs of all tests, as in a search: nothing one does may hurt the next."""
    with Worker() as worker:
        yield worker


def add(_channel: Channel, a: int, b: int) -> int:
    return a + b


def pid(_channel: Channel) -> int:
    return os.getpid()


def report(channel: Channel, count: int, pause: float = 0.0) -> int:
    for epoch in range(count):
        channel.send({"epoch": epoch})
        time.sleep(pause)
        if channel.stopped is not None:
            return epoch
    return count


def fail(_channel: Channel) -> None:
    raise ValueError("layer 3\ndoes not fit")


def run_out_of_memory(_channel: Channel) -> None:
    np.ones(2**55)  # far beyond any address space


def leave(_channel: Channel, code: int) -> None:
    os._exit(code)


def system_exit(_channel: Channel) -> None:
    sys.exit(4)


def kill(_channel: Channel, number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def crash(_channel: Channel) -> None:
    ctypes.string_at(0)


def hang(_channel: Channel) -> None:
    while True:
        time.sleep(1)


def hoard(_channel: Channel) -> None:
    held = []
    while True:
        held.append(np.ones(2**21))
        time.sleep(0.005)


def shout(_channel: Channel) -> str:
    print("x" * 100_000)
    sys.stderr.write("y" * 100_000)
    os.write(1, b"z" * 100_000)
    return "done"


def lock_up(_channel: Channel) -> Any:
    return threading.Lock()


class Odd:
    def __reduce__(self) -> Any:
        return (int, ("not a number",))


def test_result(shared: Worker) -> None:
    assert shared.run(add, 2, 3) == 5


def test_local_function_and_closure(shared: Worker) -> None:
    offset = 10
    assert shared.run(lambda _channel, x: x + offset, 1) == 11


def test_child_is_kept_between_jobs(shared: Worker) -> None:
    assert shared.run(pid) == shared.run(pid) != os.getpid()


def test_messages_come_in_order(shared: Worker) -> None:
    seen: list[int] = []
    assert shared.run(report, 20, on_message=lambda m: seen.append(m["epoch"])) == 20
    assert seen == list(range(20))


def test_an_answer_stops_the_job_and_not_the_next_one(shared: Worker) -> None:
    def judge(message: dict[str, int]) -> str | None:
        return "no good" if message["epoch"] == 2 else None

    assert shared.run(report, 1000, 0.02, on_message=judge) < 1000
    # An order may also come too late: after the job's last message.
    assert shared.run(report, 1, on_message=lambda _: "stop") <= 1
    assert shared.run(report, 5) == 5


def test_exception(shared: Worker) -> None:
    before = shared.run(pid)
    with pytest.raises(JobRaisedError) as caught:
        shared.run(fail)
    assert caught.value.reason == "ValueError: layer 3 does not fit"
    assert "in fail" in caught.value.details
    assert shared.run(pid) == before
    assert issubclass(JobRaisedError, NASError)


def test_memory_error(shared: Worker) -> None:
    with pytest.raises(JobRaisedError, match=r"Unable to allocate|MemoryError"):
        shared.run(run_out_of_memory)
    assert shared.run(add, 1, 1) == 2


@pytest.mark.parametrize("code", [0, 7])
def test_exit(shared: Worker, code: int) -> None:
    before = shared.run(pid)
    with pytest.raises(JobDiedError, match=f"exit code {code}"):
        shared.run(leave, code)
    assert shared.run(pid) != before


def test_system_exit_is_an_exception_like_others(shared: Worker) -> None:
    with pytest.raises(JobRaisedError, match="SystemExit: 4"):
        shared.run(system_exit)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGABRT"])
def test_killed(shared: Worker, name: str) -> None:
    with pytest.raises(JobDiedError, match=name):
        shared.run(kill, int(getattr(signal, name)))
    assert shared.run(add, 1, 1) == 2


def test_segmentation_fault_tells_where(shared: Worker) -> None:
    with pytest.raises(JobDiedError, match="SIGSEGV") as caught:
        shared.run(crash)
    assert "in crash" in caught.value.details


def test_interrupt_signal_is_ignored(shared: Worker) -> None:
    assert shared.run(lambda _channel: os.kill(os.getpid(), signal.SIGINT)) is None


def test_time_limit(shared: Worker) -> None:
    shared.run(add, 1, 1)
    start = time.monotonic()
    with pytest.raises(JobLimitError, match=r"longer than the limit of 0\.5 s"):
        shared.run(hang, time_limit=0.5)
    assert time.monotonic() - start < 5
    assert shared.run(add, 1, 1) == 2


def test_memory_limit(shared: Worker) -> None:
    with pytest.raises(JobLimitError, match="MiB of memory, over the limit of 300 MiB"):
        shared.run(hoard, memory_limit=300 * 2**20, time_limit=60)
    assert shared.run(add, 1, 1) == 2


def test_output_does_not_disturb(shared: Worker) -> None:
    assert shared.run(shout) == "done"
    assert shared.run(add, 1, 1) == 2


def test_result_that_cannot_be_sent(shared: Worker) -> None:
    with pytest.raises(JobRaisedError, match="pickle"):
        shared.run(lock_up)
    assert shared.run(add, 1, 1) == 2


def test_job_that_cannot_be_received(shared: Worker) -> None:
    with pytest.raises(JobRaisedError, match="not a number"):
        shared.run(add, Odd(), 1)
    assert shared.run(add, 1, 1) == 2


def test_error_in_the_director_leaves_a_clean_worker(shared: Worker) -> None:
    def broken(_message: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        shared.run(report, 100, 0.01, on_message=broken)
    assert shared.run(report, 3) == 3


def test_initializer_runs_once_in_every_child() -> None:
    def prepare(_channel: Channel, value: str) -> None:
        os.environ["PREPARED"] = os.environ.get("PREPARED", "") + value

    def prepared(_channel: Channel) -> str:
        return os.environ["PREPARED"]

    with Worker(initializer=prepare, initargs=("yes",)) as worker:
        assert [worker.run(prepared), worker.run(prepared)] == ["yes", "yes"]
        with pytest.raises(JobDiedError):
            worker.run(leave, 1)
        assert worker.run(prepared) == "yes"


def test_the_time_to_get_ready_is_not_the_jobs() -> None:
    with Worker(initializer=lambda _channel: time.sleep(3.0)) as worker:
        for _ in range(2):
            assert worker.run(add, 1, 1, time_limit=2.5) == 2
            with pytest.raises(JobLimitError):
                worker.run(hang, time_limit=0.3)


def test_initializer_that_fails() -> None:
    with Worker(initializer=fail) as worker:
        for _ in range(2):
            with pytest.raises(JobDiedError, match="could not be set up: ValueError: layer 3"):
                worker.run(add, 1, 1)


def test_child_is_replaced_after_so_many_jobs() -> None:
    with Worker(recycle_jobs=2) as worker:
        pids = [worker.run(pid) for _ in range(5)]
    assert len(set(pids)) == 3


def test_child_is_replaced_when_large() -> None:
    with Worker(recycle_bytes=1) as worker:
        assert worker.run(pid) != worker.run(pid)


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")  # of the tests, which would be kept
    with Worker(threads=3) as worker:
        assert worker.run(lambda _channel: os.environ["OMP_NUM_THREADS"]) == "3"


def test_close_ends_the_child() -> None:
    worker = Worker()
    child = worker.run(pid)
    worker.close()
    assert not psutil.pid_exists(child)
    worker.close()


def test_interrupt_from_another_thread() -> None:
    with Worker() as worker:
        worker.run(add, 1, 1)
        threading.Timer(0.3, worker.interrupt, ["interrupted"]).start()
        with pytest.raises(JobInterruptedError, match="interrupted"):
            worker.run(hang)
        with pytest.raises(JobInterruptedError):
            worker.run(add, 1, 1)


@pytest.mark.parametrize("job", ["time.sleep(60)", "while True: pass"])
def test_child_dies_with_its_director(job: str) -> None:
    """However the director ends, and whatever the child is doing."""
    script = textwrap.dedent(f"""
        import os, time
        from keras_nas.isolation import Worker

        def work(channel):
            channel.send(os.getpid())
            {job}

        def show(pid):
            print(pid, flush=True)

        Worker().run(work, on_message=show)
    """)
    # A script without a __main__ guard, as users write them.
    director = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert director.stdout is not None
    child = psutil.Process(int(director.stdout.readline()))
    director.kill()
    director.wait()
    director.stdout.close()
    child.wait(timeout=10)


def test_local_worker_has_the_same_interface() -> None:
    worker = LocalWorker()
    seen: list[Any] = []
    assert worker.run(report, 3, on_message=seen.append) == 3
    assert len(seen) == 3
    assert worker.run(report, 9, on_message=lambda m: "stop" if m["epoch"] == 1 else None) == 1
    with pytest.raises(JobRaisedError, match="layer 3"):
        worker.run(fail)
    worker.interrupt("enough")
    with pytest.raises(JobInterruptedError):
        worker.run(report, 3)
    worker.close()


def test_pool_lends_a_worker_to_each_thread() -> None:
    pool = WorkerPool(Worker)
    pool.warm(2)
    with pool.worker() as one, pool.worker() as two:
        assert one is not two
        pids = {one.run(pid), two.run(pid)}
    assert len(pids) == 2
    with pool.worker() as again:
        assert again.run(pid) in pids
        threading.Timer(0.2, pool.interrupt, ["closing"]).start()
        with pytest.raises(JobError, match="closing"):
            again.run(hang)
    with pool.worker() as late, pytest.raises(JobInterruptedError):
        late.run(pid)
    pool.close()
    assert not any(psutil.pid_exists(child) for child in pids)
