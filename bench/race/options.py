"""How long the race is, and who runs."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.race.prepare import PREPROCESSING
from bench.race.processes import ROOT

RESULTS = ROOT / "bench" / "results" / "race.json"


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: str
    is_quick: bool
    has_int8: bool
    """Whether int8 is tried, which the gate mostly refuses for random weights."""
    seconds: float
    """Of one measurement."""
    rounds: int
    """Of those that ratios are made of."""
    clients: tuple[int, ...]
    loads: tuple[int, ...]
    """Percent of each contender's own capacity."""
    sizes: tuple[str, ...]
    """Besides 500x375."""
    contenders: tuple[str, ...]
    """Keys; none is all."""
    folder: Path | None
    output: Path

    def to_json(self) -> dict[str, Any]:
        """Without paths of this machine."""
        return {
            name: value for name, value in asdict(self).items() if name not in {"folder", "output"}
        }


def read(words: list[str] | None = None) -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.race", description="Run the race.")
    parser.add_argument("--model", choices=sorted(PREPROCESSING), default="MobileNetV2")
    parser.add_argument("--quick", action="store_true", help="about 3 minutes: does it work?")
    parser.add_argument("--int8", action="store_true", help="try to publish in int8, too")
    parser.add_argument("--seconds", type=float, help="of one measurement; default 2.5, quick 0.8")
    parser.add_argument("--rounds", type=int, help="default 3, quick 1")
    parser.add_argument("--contenders", default="", help="their keys, separated by commas")
    parser.add_argument(
        "--folder", type=Path, help="keep pictures and models there, or take them from there"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: %(default)s")
    given = parser.parse_args(words)
    quick = given.quick
    if (given.seconds or 1) <= 0 or (given.rounds or 1) < 1:
        parser.error("--seconds and --rounds: more than nothing")
    return Options(
        model=given.model,
        is_quick=quick,
        has_int8=given.int8,
        seconds=given.seconds or (0.8 if quick else 2.5),
        rounds=given.rounds or (1 if quick else 3),
        clients=(1, 32) if quick else (1, 8, 32, 128),
        loads=(70,) if quick else (30, 50, 70, 90),
        sizes=("1280x960",) if quick else ("1280x960", "4000x3000"),
        contenders=tuple(each for each in given.contenders.split(",") if each),
        folder=given.folder,
        output=given.output,
    )
