"""What all workers have counted together, those that have ended included.

A sum that fell when a worker ends would be a restart to Prometheus, which would then count all of
the others' requests again. So the last that was heard of a worker stays in the sum; and because
everything that is shown is made of what was heard, no sum that was shown ever falls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from app.figures import Figures
from app.metrics import merged


@dataclass(frozen=True, slots=True)
class Account:
    """One process' metrics and figures."""

    metrics: merged.Families
    figures: Figures

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Read what `written` wrote."""
        metrics, figures = json.loads(text)
        return cls(merged.parse(metrics), Figures.from_json(figures))


def written(metrics: str, figures: Figures) -> bytes:
    """An account as a worker gives it: its exposition and its figures."""
    return json.dumps([metrics, figures.to_json()]).encode()


class Totals:
    """Accounts by worker; a number stands for one process and is never used again."""

    def __init__(self) -> None:
        self._accounts: dict[int, Account] = {}
        self._ended = Account({}, Figures())

    def heard(self, number: int, account: Account) -> None:
        """A worker said so."""
        self._accounts[number] = account

    def ended(self, number: int) -> None:
        """A worker is gone; what it counted is not."""
        account = self._accounts.pop(number, None)
        if account is not None:
            self._ended = Account(
                merged.merge((self._ended.metrics, merged.growing(account.metrics))),
                Figures.of_all((self._ended.figures, account.figures.lasting)),
            )

    def metrics(self, supervisor: str) -> bytes:
        """The exposition of all, the supervisor's own included."""
        accounts = [account.metrics for account in self._accounts.values()]
        return merged.exposition(
            merged.merge((*accounts, self._ended.metrics, merged.parse(supervisor)))
        )

    def figures(self, uptime_seconds: float) -> Figures:
        """The figures of all, as old as their supervisor."""
        accounts = [account.figures for account in self._accounts.values()]
        own = Figures(uptime_seconds=uptime_seconds)
        return Figures.of_all((*accounts, self._ended.figures, own))
