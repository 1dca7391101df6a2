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
        self.small: FairQueue[Job] = FairQueue()
        """Jobs that may run within their allowance."""
        self.large: FairQueue[Job] = FairQueue()
        """Jobs that need their price granted before they may run."""

    @property
    def count(self) -> int:
        """Jobs of both kinds."""
        return self.small.count + self.large.count

    def next(self, now: float) -> Job | None:
        """Take the next job that memory lets run, and that memory for it.

        Large ones first, as small ones can pass them.
        """
        for queue in (self.large, self.small):
            while (job := queue.peek()) is not None:
                if job.deadline <= now:
                    fail(job, DeadlineExceededError("the image waited beyond its deadline"))
                if job.is_over:
                    queue.pop()
                elif self._take_memory(job):
                    return queue.pop()
                else:
                    break
        return None

    def grow(self, job: Job) -> bool:
        """Take the price of a job that goes on at once; not if it would pass one that waits."""
        is_passing = self.large.count > 0 and self._budget.is_large(job.memory_bytes)
        return not is_passing and self._take_memory(job)

    def forget(self, job: Job) -> None:
        """Nobody waits for it any more."""
        if not self.small.remove(job.client, job):
            self.large.remove(job.client, job)

    def take_all(self) -> list[Job]:
        """Every job; none is left."""
        return [queue.pop() for queue in (self.small, self.large) for _ in range(queue.count)]

    def _take_memory(self, job: Job) -> bool:
        is_a_large_one_waiting = self.large.count > 0
        if not self._budget.fits(job.memory_bytes, is_a_large_one_waiting=is_a_large_one_waiting):
            return False
        self._budget.take(job.memory_bytes)
        return True
