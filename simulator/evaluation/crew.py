"""Processes that do drives, watched from outside: a policy that hangs or dies costs its own drive only.

What a job yields doesn't depend on who does it or when, so the number of workers changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from simulator.evaluation.drive import Watch, Worlds, drive
from simulator.evaluation.episodes import Episode, Job, is_done, write

_LOOK_EVERY_S = 0.2
_QUIET = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS")
"""Workers are one process a core: libraries that thread on their own only get in the way."""


class Crew:
    """A number of processes, started when there is something to do; use as a context manager.

    Args:
        workers: how many; 0 takes one a core.
    """

    def __init__(self, workers: int = 0) -> None:
        self._size = workers or os.cpu_count() or 1
        self._workers: list[_Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.stop()

    def do_all(self, jobs: Sequence[Job], progress: Callable[[], None] = lambda: None) -> None:
        """Do what isn't done yet, broke down, or lost the frames it leaves; afterwards every job has its
        file, with a result or with its error.

        Args:
            jobs: what to do, in this order.
            progress: called once for each job that is done.
        """
        todo = deque(job for job in jobs if not is_done(job))
        for _ in range(len(jobs) - len(todo)):
            progress()
        while len(self._workers) < min(self._size, len(todo)):
            self._workers.append(_Worker())
        while todo or any(worker.job for worker in self._workers):
            for worker in self._workers:
                if worker.job is None and todo:
                    worker.begin(todo.popleft())
            busy = [worker for worker in self._workers if worker.job is not None]
            wait([worker.pipe for worker in busy], timeout=_LOOK_EVERY_S)
            for worker in busy:
                if worker.settle():
                    progress()


class _Worker:
    """One process and the job it is at."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        for variable in _QUIET:
            os.environ.setdefault(variable, "1")
        self.pipe, theirs = context.Pipe()
        # Until when the policy may take (0: it isn't being waited for), and at which step it is.
        self._deadline = context.Value("d", 0.0, lock=False)
        self._step = context.Value("i", 0, lock=False)
        self._process = context.Process(
            target=_work, args=(theirs, self._deadline, self._step), daemon=True
        )
        self._process.start()
        theirs.close()

    def begin(self, job: Job) -> None:
        """Hand over a job. A process that has died meanwhile is found out by `settle`."""
        self.job = job
        with suppress(OSError):
            self.pipe.send(job)

    def settle(self) -> bool:
        """Whether the job is over; where it won't end by itself, it is ended here."""
        job = self.job
        assert job is not None
        deadline, step = float(self._deadline.value), int(self._step.value)
        waiting = deadline > 0.0
        try:
            if self.pipe.poll():
                self.pipe.recv()
                self.job = None
                return True
            alive = self._process.is_alive()
        except (EOFError, OSError):
            alive = False
        late = alive and waiting and time.monotonic() > deadline
        if alive and not late:
            return False
        if late:
            what = f"no action within {job.step_limit_s:g} s" if step else "could not be loaded"
            error = f"hangs: {what} (step {step})"
        else:
            self._process.join(5.0)
            error = f"the process died with exit code {self._process.exitcode} (step {step})"
        whose = "policy" if waiting else "world"
        write(job, Episode({}, error=error, blame=whose, identity=job.identity))
        self.stop()
        self._start()
        self.job = None
        return True

    def stop(self) -> None:
        """End the process, whatever it is at."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


class _OutsideWatch(Watch):
    """Notes the deadline where the parent process sees it."""

    def __init__(self, deadline: Any, step: Any) -> None:
        self._deadline, self._step = deadline, step

    @contextmanager
    def waiting(self, limit_s: float, step: int) -> Iterator[None]:
        """While the policy is at work."""
        self._step.value = step
        self._deadline.value = time.monotonic() + limit_s
        try:
            yield
        finally:
            self._deadline.value = 0.0


def _work(pipe: Connection, deadline: Any, step: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    worlds, watch = Worlds(), _OutsideWatch(deadline, step)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        if job.env == "dream":
            import torch

            torch.set_num_threads(1)
        write(job, drive(job, worlds, watch))
        pipe.send(None)
