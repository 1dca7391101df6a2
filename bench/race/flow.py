"""The race from start to end: who is up, who is measured when."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.race.contenders import CORES, Contender, contenders
from bench.race.helpers import Helper
from bench.race.measure import Runner, What, measure
from bench.race.options import Options
from bench.race.prepare import Prepared
from bench.race.processes import Groups, StartError

ROUND_CLIENTS = (1, 32)
"""What ratios are made of: measured in every round. Other numbers of clients once."""
MAIN_CLIENTS = 32
_OPEN_LONGER = 2
_FLOORS = {"openvino-f32": "f32", "openvino-bf16": "bf16", "openvino-int8": "int8"}

Tell = Callable[[str], None]


class Race:
    """Runners, helpers and what was measured.

    Args:
        prepared: what they run on.
        options: how long, and who.
        logs: a folder.
        tell: is called before each step.
    """

    def __init__(self, prepared: Prepared, options: Options, logs: Path, tell: Tell) -> None:
        self._prepared = prepared
        self._options = options
        self._logs = logs
        self._tell = tell
        self._runners: list[Runner] = []
        self._helpers: dict[str, Helper] = {}
        self._batches: dict[str, int] = {}
        self.measurements: list[dict[str, Any]] = []
        self.floors: list[dict[str, Any]] = []
        self.directs: list[dict[str, Any]] = []
        self.described: list[dict[str, Any]] = []

    def run(self) -> None:
        """All of it; what was measured is there after every step, also if one fails."""
        with self._ended():
            self._start()
            for number in range(self._options.rounds):
                self._round(number)
            self._open_loops()
            self._sizes()

    @property
    def notes(self) -> list[str]:
        """What the exporter would not publish."""
        return self._prepared.notes

    def pictures(self) -> dict[str, dict[str, float]]:
        """How many of each size, and their bytes on average."""
        return {
            size: {"n": len(each), "mean_bytes": round(sum(p["bytes"] for p in each) / len(each))}
            for size, each in self._prepared.pictures.items()
        }

    @contextmanager
    def _ended(self) -> Iterator[None]:
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # nobody may be left behind
            self._tell("ending all processes")
            for helper in self._helpers.values():
                helper.end()
            for runner in self._runners:
                runner.service.groups.end()

    # --- starting --------------------------------------------------------------------------------

    def _start(self) -> None:
        for each in contenders(self._prepared):
            if self._options.contenders and each.key not in self._options.contenders:
                continue
            skipped = each.skipped
            tried: list[dict[str, Any]] = []
            if not skipped:
                try:
                    tried = self._fastest(each)
                except StartError as error:
                    skipped = str(error)
            self._describe(each, skipped, tried)
        for runner in self._runners:
            if runner.contender.is_ours and runner.service.grpc_address:
                self._helper(
                    f"direct {runner.contender.key}",
                    "bench.race.direct", runner.service.grpc_address,
                    groups=runner.service.groups,
                )  # fmt: skip
        for engine in ("tensorflow", *_FLOORS):
            if engine == "tensorflow" or self._runner(engine) is not None:
                self._floor(engine)

    def _fastest(self, contender: Contender) -> list[dict[str, Any]]:
        """Start it in each setting, keep the one that answers most; what each has answered.

        Raises:
            StartError: it comes up in none.
        """
        settings = contender.settings[:1] if self._options.is_quick else contender.settings
        best: tuple[float, Runner] | None = None
        tried, why = [], ""
        for number, setting in enumerate(settings):
            self._tell(f"starting {contender.title} {_words(setting)}")
            groups = Groups(self._logs / f"{contender.key}-{number}")
            try:
                service = contender.start(self._prepared, groups, setting)
                runner = Runner(contender, service, setting)
                rate = self._trial(runner) if len(settings) > 1 else 0.0
            except BaseException as error:
                groups.end()
                if not isinstance(error, StartError):
                    raise
                why = str(error)
                tried.append({"setting": dict(setting), "failed": why})
                continue
            tried.append({"setting": dict(setting), "requests_per_second": round(rate, 2)})
            if best is not None and best[0] >= rate:
                groups.end()
                continue
            if best is not None:
                best[1].service.groups.end()
                self._runners.remove(best[1])
            groups.suspend()
            best = (rate, runner)
            self._runners.append(runner)
        if best is None:
            raise StartError(why)
        return tried

    def _trial(self, runner: Runner) -> float:
        what = What("trial", "closed", MAIN_CLIENTS, self._options.seconds)
        seen = measure(runner, self._prepared, what)
        return 0.0 if seen["void"] else float(seen["requests_per_second"])

    def _describe(self, contender: Contender, skipped: str, tried: list[dict[str, Any]]) -> None:
        runner = self._runner(contender.key)
        self.described.append({
            "key": contender.key,
            "title": contender.title,
            "what": contender.what,
            "body": contender.body,
            "is_ours": contender.is_ours,
            "packages": list(contender.packages),
            "skipped": skipped,
            "setting": dict(runner.setting) if runner else {},
            "tried": tried,
            "commands": _commands(runner, self._prepared) if runner else [],
        })  # fmt: skip

    def _runner(self, key: str) -> Runner | None:
        return next((each for each in self._runners if each.contender.key == key), None)

    def _helper(self, name: str, *words: str, groups: Groups | None = None) -> Helper | None:
        self._tell(f"starting {name}")
        log = self._logs / f"{name.replace(' ', '-')}.log"
        if groups is not None:
            groups.resume()
        try:
            self._helpers[name] = Helper(log, *words, str(self._prepared.folder))
        except StartError as error:
            self._tell(f"{name} is left out: {error}")
            return None
        finally:
            if groups is not None:
                groups.suspend()
        return self._helpers[name]

    def _floor(self, engine: str) -> None:
        helper = self._helper(f"floor {engine}", "bench.race.floor", engine)
        if helper is not None:
            chosen = self._ask(f"floor {engine}", do="choose", seconds=self._options.seconds / 3)
            self._batches[engine] = chosen.get("batch", 1)

    # --- measuring -------------------------------------------------------------------------------

    def _round(self, number: int) -> None:
        options = self._options
        for clients in options.clients:
            if number and clients not in ROUND_CLIENTS:
                continue
            for runner in self._turned(number):
                self._measure(runner, What("closed", "closed", clients, options.seconds, number))
        self._ask_floors(number)
        for runner in self._runners:
            self._ask_direct(runner, number, do="one")
        ours = self._runner("ours-grpc")
        if ours is not None:
            self._measure(
                ours,
                What("bodies", "closed", MAIN_CLIENTS, options.seconds, number, body="multipart"),
            )

    def _turned(self, number: int) -> Sequence[Runner]:
        """Each round begins with another."""
        start = number % max(1, len(self._runners))
        return [*self._runners[start:], *self._runners[:start]]

    def _measure(self, runner: Runner, what: What) -> None:
        each = f"{what.load} % load" if what.load else f"{what.amount:.0f} clients"
        each += f", {what.size}" * (what.phase == "sizes") + f", {what.body}" * bool(what.body)
        self._tell(f"{what.phase}, round {what.round + 1}: {runner.contender.title}, {each}")
        try:
            seen = measure(runner, self._prepared, what)
        except StartError as error:
            self._runners.remove(runner)
            runner.service.groups.end()
            for described in self.described:
                if described["key"] == runner.contender.key:
                    described["skipped"] = f"broke down: {error}"
            return
        self.measurements.append(seen)

    def _ask_floors(self, number: int) -> None:
        seconds = self._options.seconds
        for engine, batch in self._batches.items():
            self._tell(f"round {number + 1}: floor, {engine}")
            decoding = self._ask(f"floor {engine}", do="decode", seconds=seconds)
            model = self._ask(f"floor {engine}", do="model", batch=batch, seconds=seconds)
            if not decoding or not model:
                continue
            self.floors.append({
                "engine": engine, "round": number, "batch": batch,
                "decode_ms": decoding["cpu_ms"], "model_ms": model["cpu_ms"],
                "requests_per_second": 1000 * CORES / (decoding["cpu_ms"] + model["cpu_ms"]),
            })  # fmt: skip

    def _ask_direct(self, runner: Runner, number: int, **order: Any) -> None:
        self._tell(f"round {number + 1}: direct calls, {runner.contender.title}")
        runner.service.groups.resume()
        try:
            name = f"direct {runner.contender.key}"
            seen = self._ask(name, seconds=self._options.seconds, **order)
        finally:
            runner.service.groups.suspend()
        if not seen:
            return
        self.directs.append({
            "contender": runner.contender.key, "round": number,
            "load": order.get("load"), "do": order["do"], **seen,
        })  # fmt: skip

    def _ask(self, name: str, **order: Any) -> dict[str, Any]:
        """A helper's answer; empty where there is none, or where it has ended."""
        helper = self._helpers.get(name)
        try:
            return helper.ask(**order) if helper else {}
        except StartError as error:
            self._tell(f"{name} is left out: {error}")
            self._helpers.pop(name).end()
            return {}

    def _open_loops(self) -> None:
        seconds = _OPEN_LONGER * self._options.seconds
        for load in self._options.loads:
            for runner in list(self._runners):
                rate = self._capacity(runner.contender.key) * load / 100
                if not rate:
                    continue
                self._measure(runner, What("open", "open", rate, seconds, load=load))
                if load == 70:
                    self._ask_direct(runner, 0, do="open", rate=rate, load=load)

    def _capacity(self, key: str) -> float:
        """The most that it answers with any number of clients; 0 if it never answers rightly."""
        by_clients: dict[int, list[float]] = {}
        for each in self.measurements:
            if each["contender"] == key and each["phase"] == "closed" and not each["void"]:
                by_clients.setdefault(each["clients"], []).append(each["requests_per_second"])
        return max((statistics.median(each) for each in by_clients.values()), default=0.0)

    def _sizes(self) -> None:
        for size in self._options.sizes:
            for runner in list(self._runners):
                what = What("sizes", "closed", MAIN_CLIENTS, self._options.seconds, size=size)
                self._measure(runner, what)


def _words(setting: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in setting.items())


def _commands(runner: Runner, prepared: Prepared) -> list[str]:
    """As typed, without this machine's paths."""
    commands = []
    for group in runner.service.groups.all:
        text = " ".join(["python", *group.command[1:]])
        commands.append(text.replace(str(prepared.folder), "FOLDER"))
    return commands
