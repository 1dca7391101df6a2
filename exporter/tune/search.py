"""The search: from everything that may be worth it to the fastest, in four stages of one budget.

    look      each engine, precision and thread setting, proven, then asked in a few ways
    refine    the best three model servers side by side, in turns, and what lies around their bests
    serve     the best few and the defaults through a real gateway: capacity, then p99 at a load
    decide    the two best once more, in turns, until the budget is used

Fewer go on from stage to stage and each is measured longer (successive halving). What is compared
closely is measured in turns, so that whatever the machine does besides falls on all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from exporter.errors import ExporterError, FailedError, RefusedError
from exporter.progress import Reporter
from exporter.tune import rows as figures
from exporter.tune import space
from exporter.tune.configuration import Configuration, Engine, ModelServerSettings, default
from exporter.tune.machine import Machine
from exporter.tune.proofs import Proof, Standard, why_unsafe
from exporter.tune.rows import SHARES, Choice, Row, Ruled

STEPS: Final = 4
STEP: Final = "tune"
_UNTIL: Final = {"look": 0.35, "refine": 0.55, "serve": 0.8, "decide": 1.0}
"""By which part of the budget a stage should be over."""
_SIDE_BY_SIDE: Final = 3
_FINALISTS: Final = 4
_SHORT_SECONDS: Final = 45.0
"""Below it one model server is refined, and two configurations get a gateway: starts would take
most of the time."""
_FINALISTS_IF_SHORT: Final = 2
_DECIDERS: Final = 2
_ROUNDS: Final = 2
_HOPELESS: Final = 2.0
"""A call that would take so many times the target is not measured: of large models that is long."""
_LONGEST_CALL_MS: Final = 1000.0
"""In place of the target where there is none."""
_CALL_SECONDS: Final = (0.25, 2.0)
_REQUEST_SECONDS: Final = (1.0, 8.0)
"""The shortest and longest time of one burst."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is looked for, and how long."""

    target_ms: float | None
    """p99 of a request; None: as many requests as there can be."""
    seconds: float
    """For all of it; servers that take long to start may take more."""
    cores: int
    clients: int
    """Of the closed loop through a gateway."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the search saw."""

    rows: list[Row]
    ruled_out: list[Ruled]
    choice: Choice
    default: Row | None
    """Settings that nobody has tuned; None: TensorFlow was not among what was tried."""


@dataclass(slots=True)
class Search:
    """One search; `run` is called once."""

    machine: Machine
    goal: Goal
    clock: Callable[[], float]
    report: Reporter
    _rows: dict[Configuration, Row] = field(default_factory=dict)
    _ruled_out: list[Ruled] = field(default_factory=list)
    _failed: set[ModelServerSettings] = field(default_factory=set)
    _begun: float = 0.0

    def run(self, proofs: Sequence[Proof], standard: Standard) -> Found:
        """Search.

        Raises:
            RefusedError: nothing is safe.
            FailedError: nothing can be measured through a gateway.
        """
        self._begun = self.clock()
        untuned = [default(each.precision) for each in proofs if each.engine == "tensorflow"]
        self.report.step("looking at engines, precisions and threads")
        self._look(proofs, standard)
        self.report.step("refining the best, in turns")
        self._refine(untuned)
        self.report.step("measuring the best through a gateway")
        self._serve(untuned)
        self.report.step("deciding between the two best, in turns")
        self._decide(untuned)
        choice = figures.choose(self._rows.values(), self.goal.target_ms)
        measured = next((self._rows[each] for each in untuned if each in self._rows), None)
        return Found(list(self._rows.values()), self._ruled_out, choice, measured)

    def _look(self, proofs: Sequence[Proof], standard: Standard) -> None:
        by_kind = {(each.engine, each.precision): each for each in proofs}
        servers = space.servers(by_kind, self.goal.cores)
        unsafe: set[tuple[Engine, str]] = set()
        safe: set[tuple[Engine, str]] = set()
        for done, server in enumerate(servers, start=1):
            kind = server.proof
            if kind not in safe | unsafe:
                why = self._why_unsafe(server, by_kind[kind], standard)
                (unsafe if why else safe).add(kind)
                self._rule_out(" ".join(kind), why)
            if kind in safe:
                self._try(server, len(servers) - done + 1)
            self._keep_the_best()
            self.report.advance("settings of the model server", done, len(servers))
        if not self._rows:
            reasons = "; ".join(f"{each.what}: {each.why}" for each in self._ruled_out)
            raise RefusedError(f"nothing can be served safely: {reasons}", step=STEP)

    def _why_unsafe(self, server: ModelServerSettings, proof: Proof, standard: Standard) -> str:
        try:
            return why_unsafe(proof, self.machine.probabilities(server), standard)
        except ExporterError as error:
            return str(error)

    def _try(self, server: ModelServerSettings, servers_left: int) -> None:
        ways = space.first_ways(server, self.goal.cores)
        seconds = self._burst("look", len(ways) * servers_left, _CALL_SECONDS)
        self._call_each(ways, seconds)

    def _keep_the_best(self) -> None:
        self.machine.keep([row.configuration for row in self._best()])

    def _best(self) -> list[Row]:
        """Those that are refined: the best way to ask each of the best model servers."""
        most = 1 if self._is_short else _SIDE_BY_SIDE
        return figures.best_servers(self._all(), most, self.goal.target_ms)

    @property
    def _is_short(self) -> bool:
        return self.goal.seconds < _SHORT_SECONDS

    def _refine(self, untuned: Sequence[Configuration]) -> None:
        """Twice in turns; only the better half has a second turn."""
        best = self._best()
        ways = [way for row in best for way in space.ways_around(row.configuration)]
        ways += space.first_ways(space.batched(best[0].configuration.server), self.goal.cores)
        ways = list(dict.fromkeys([*ways, *untuned]))
        for turn in range(_ROUNDS):
            left = len(ways) * (2 if turn == 0 else 1)
            self._call_each(ways, self._burst("refine", left, _CALL_SECONDS))
            tried = [self._rows[way] for way in ways if way in self._rows]
            order = figures.by_speed(tried, self.goal.target_ms)
            ways = [row.configuration for row in reversed(order[: max(1, len(order) // 2)])]
            self.report.advance("turns", turn + 1, _ROUNDS)

    def _call_each(self, ways: Sequence[Configuration], seconds: float) -> None:
        """Closed loops; a server that failed, and calls that will take too long, are left out."""
        for way in ways:
            if way.server in self._failed or self._is_hopeless(way):
                continue
            try:
                burst = self.machine.calls(way, seconds)
            except ExporterError as error:
                self._failed.add(way.server)
                self._rule_out(str(way.server), str(error))
                continue
            self._row(way).calls.add(burst)

    def _is_hopeless(self, way: Configuration) -> bool:
        """Whether a call would be far too long at the fastest that its server has been."""
        known = [
            row.images_per_second for row in self._all() if row.configuration.server == way.server
        ]
        fastest = max(known, default=0.0)
        longest_ms = _HOPELESS * (self.goal.target_ms or _LONGEST_CALL_MS)
        return fastest > 0 and 1000 * way.batch_size * way.in_flight / fastest > longest_ms

    def _serve(self, untuned: Sequence[Configuration]) -> None:
        """Capacities in turns, then for each the load that it bears within the target."""
        most = _FINALISTS_IF_SHORT if self._is_short else _FINALISTS
        last = figures.finalists(self._all(), most, self.goal.target_ms)
        ways = list(dict.fromkeys([*(row.configuration for row in last), *untuned]))
        self.machine.keep(ways)
        total = (_ROUNDS + 1) * len(ways)
        for done, way in enumerate([*ways, *reversed(ways), *ways]):
            seconds = self._burst("serve", total - done + 1, _REQUEST_SECONDS)
            work = self._measure_capacity if done < _ROUNDS * len(ways) else self._find_load
            try:
                work(self._row(way), seconds)
            except ExporterError as error:
                self._rule_out(str(way), str(error))
            self.report.advance("loads", done + 1, total)

    def _find_load(self, row: Row, seconds: float) -> None:
        """P99 at the highest share of its capacity that keeps to the target."""
        for share in SHARES if row.capacity.n else ():
            row.offer_share(share)
            self._offer(row, seconds)
            if figures.is_within(row.p99_ms, self.goal.target_ms):
                return

    def _measure_capacity(self, row: Row, seconds: float) -> None:
        row.capacity.add(self.machine.closed(row.configuration, self.goal.clients, seconds))

    def _offer(self, row: Row, seconds: float) -> None:
        rate = row.capacity.rate * row.share
        row.offered.add(self.machine.offered(row.configuration, rate, seconds))

    def _decide(self, untuned: Sequence[Configuration]) -> None:
        """In turns until the time is used, at the same share; who then misses is offered less."""
        pair = figures.best_served(self._all(), _DECIDERS, self.goal.target_ms)
        if not pair:
            why = self._ruled_out[-1].why if self._ruled_out else "no time for it"
            raise FailedError(f"nothing could be measured through a gateway: {why}")
        yardsticks = [row for row in map(self._row, untuned) if row.capacity.n and row not in pair]
        self.machine.keep([row.configuration for row in (*pair, *yardsticks)])
        share = max(row.share for row in pair)
        for row in pair:
            if row.share != share:  # one busy moment may have brought it down
                row.offer_share(share)
        self._take_turns(pair, yardsticks)
        for row in pair:
            self._lower(row)

    def _lower(self, row: Row) -> None:
        for share in SHARES:
            if share < row.share and not figures.is_within(row.p99_ms, self.goal.target_ms):
                row.offer_share(share)
                for _ in range(_ROUNDS):
                    self._offer(row, self._burst("decide", _ROUNDS, _REQUEST_SECONDS))

    def _take_turns(self, pair: Sequence[Row], yardsticks: Sequence[Row]) -> None:
        turns = 0
        while turns < _ROUNDS or self._left("decide") > 0:
            bursts = 3 * (2 * len(pair) + len(yardsticks))
            seconds = self._burst("decide", bursts, _REQUEST_SECONDS)
            for row in pair if turns % 2 == 0 else reversed(pair):
                self._measure_capacity(row, seconds)
                self._offer(row, seconds)
            for row in yardsticks:
                self._measure_capacity(row, seconds)
            turns += 1
            self.report.advance("turns", min(turns, _ROUNDS), _ROUNDS)

    def _row(self, way: Configuration) -> Row:
        return self._rows.setdefault(way, Row(way))

    def _all(self) -> list[Row]:
        return list(self._rows.values())

    def _rule_out(self, what: str, why: str) -> None:
        if why:
            self._ruled_out.append(Ruled(what, why))

    def _left(self, stage: str) -> float:
        return self._begun + _UNTIL[stage] * self.goal.seconds - self.clock()

    def _burst(self, stage: str, bursts: int, between: tuple[float, float]) -> float:
        """How long one of so many may take, that the stage ends when it should."""
        shortest, longest = between
        return min(longest, max(shortest, self._left(stage) / max(1, bursts)))
