"""Jobs that no worker has: who is next, as far as memory lets them run.

Small ones are all that have not been priced, and those that their allowance is enough for. A job
becomes a large one when its price did not fit beside what was held.
"""

from __future__ import annotations

from app.decode.budget import MemoryBudget
from app.decode.fairness import FairQueue
from app.decode.job import Job, fail
from app.errors import DeadlineExceededError


class Waiting:
    """Two fair queues and the memory that both are served from."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._small: FairQueue[Job] = FairQueue()
        self._large: FairQueue[Job] = FairQueue()

    def __len__(self) -> int:
        return len(self._small) + len(self._large)

    def add(self, job: Job) -> None:
        """Queue a job that may run within its allowance."""
        self._small.append(job.client, job)

    def add_large(self, job: Job) -> None:
        """Queue a job that needs its price granted before it may run."""
        self._large.append(job.client, job)

    def ahead_of(self, client: str) -> int:
        """How many small jobs come before a new one of the client."""
        return self._small.ahead_of(client)

    def next(self, now: float) -> Job | None:
        """Take the next job that memory lets run; large ones first, as small ones can pass them."""
        for queue in (self._large, self._small):
            while (job := queue.peek()) is not None:
                if job.deadline <= now:
                    fail(job, DeadlineExceededError("the image waited beyond its deadline"))
                if job.is_over:
                    queue.pop()
                elif self._fits(job):
                    return queue.pop()
                else:
                    break
        return None

    def may_grow(self, job: Job) -> bool:
        """Whether a job that has just been priced may go on, without passing one that waits."""
        is_passing = bool(len(self._large)) and self._budget.is_large(job.memory_bytes)
        return not is_passing and self._fits(job)

    def forget(self, job: Job) -> None:
        """Nobody waits for it any more."""
        if not self._small.remove(job.client, job):
            self._large.remove(job.client, job)

    def take_all(self) -> list[Job]:
        """Every job; none is left."""
        small = [self._small.pop() for _ in range(len(self._small))]
        return small + [self._large.pop() for _ in range(len(self._large))]

    def _fits(self, job: Job) -> bool:
        is_a_large_one_waiting = bool(len(self._large))
        return self._budget.fits(job.memory_bytes, is_a_large_one_waiting=is_a_large_one_waiting)
