"""Figures of a run, and the bars that it is held against; None where there is nothing to say.

Ratios are medians over rounds, of two measurements of one round: whatever else the machine did fell
on both.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Run = Mapping[str, Any]

MAIN_CLIENTS = 32
TENSORFLOW = ("ours-grpc", "ours-rest", "grpc-recipe", "litserve", "json-lists", "keras-predict")
PRECISIONS = ("openvino-f32", "openvino-bf16", "openvino-int8")
_OURS = "ours-grpc"


def measured(run: Run, key: str, phase: str, **wanted: Any) -> list[dict[str, Any]]:
    """Measurements of a contender that are not void; none if any of them is."""
    found = [
        each
        for each in run["measurements"]
        if each["contender"] == key
        and each["phase"] == phase
        and all(each[name] == value for name, value in wanted.items())
    ]
    return [] if any(each["void"] for each in found) else found


def rate(run: Run, key: str, clients: int = MAIN_CLIENTS, phase: str = "closed") -> float | None:
    """Requests per second in a closed loop."""
    return _median(e["requests_per_second"] for e in measured(run, key, phase, clients=clients))


def size_rate(run: Run, key: str, size: str) -> float | None:
    """The same with larger pictures."""
    return _median(e["requests_per_second"] for e in measured(run, key, "sizes", size=size))


def latency(run: Run, key: str, percentile: str, **wanted: Any) -> float | None:
    """Milliseconds in a closed (`clients=`) or open (`load=`) loop."""
    phase = "open" if "load" in wanted else "closed"
    return _median(each["latency_ms"][percentile] for each in measured(run, key, phase, **wanted))


def cpu_ms(run: Run, key: str, clients: int = MAIN_CLIENTS) -> dict[str, float]:
    """CPU per request by role."""
    found = measured(run, key, "closed", clients=clients)
    roles = dict.fromkeys(role for each in found for role in each["cpu_ms"])
    return {role: _median(each["cpu_ms"].get(role, 0.0) for each in found) or 0.0 for role in roles}


def client_cpu_ms(run: Run, key: str) -> float | None:
    """CPU of the load generator per request."""
    return _median(e["client_cpu_ms"] for e in measured(run, key, "closed", clients=MAIN_CLIENTS))


def resident_mb(run: Run, key: str) -> dict[str, float]:
    """Memory by role, the largest that was seen after a loop with 32 clients."""
    found = measured(run, key, "closed", clients=MAIN_CLIENTS)
    roles = dict.fromkeys(role for each in found for role in each["resident_mb"])
    return {role: max(each["resident_mb"].get(role, 0.0) for each in found) for role in roles}


def floor_rate(run: Run, engine: str) -> float | None:
    """Requests per second if there were only decoding and the model."""
    return _median(e["requests_per_second"] for e in run["floors"] if e["engine"] == engine)


def ratio(run: Run, one: str, other: str, clients: int = MAIN_CLIENTS) -> float | None:
    """Of two contenders' requests per second."""
    return _paired(_rates(run, one, clients), _rates(run, other, clients))


def p50_ratio(run: Run, one: str, other: str) -> float | None:
    """Of two contenders' medians with one client."""
    return _paired(
        {e["round"]: e["latency_ms"]["p50"] for e in measured(run, one, "closed", clients=1)},
        {e["round"]: e["latency_ms"]["p50"] for e in measured(run, other, "closed", clients=1)},
    )


def to_floor(run: Run, key: str, engine: str) -> float | None:
    """Of a contender's requests per second to the floor's."""
    return _paired(
        _rates(run, key, MAIN_CLIENTS),
        {e["round"]: e["requests_per_second"] for e in run["floors"] if e["engine"] == engine},
    )


def to_direct(run: Run, key: str) -> float | None:
    """One client: p50 through the gateway to that of decoding and asking directly."""
    direct = {
        each["round"]: each["latency_ms"]["p50"]
        for each in run["directs"]
        if each["contender"] == key and each["do"] == "one" and each["latency_ms"]
    }
    ours = measured(run, key, "closed", clients=1)
    return _paired({each["round"]: each["latency_ms"]["p50"] for each in ours}, direct)


def added_ms(run: Run, key: str, percentile: str, load: int = 70) -> float | None:
    """Latency at a load, less that of decoding and asking directly at the same rate."""
    direct = _median(
        each["latency_ms"][percentile]
        for each in run["directs"]
        if each["contender"] == key and each["load"] == load and each["latency_ms"]
    )
    ours = latency(run, key, percentile, load=load)
    return None if direct is None or ours is None else ours - direct


def gateway_ms_beside_decode(run: Run, phase: str) -> float | None:
    """CPU of the gateway and its workers per request, less that of decoding alone."""
    decode = _median(each["decode_ms"] for each in run["floors"])
    used = _median(
        each["cpu_ms"].get("gateway", 0.0) + each["cpu_ms"].get("decode workers", 0.0)
        for each in measured(run, _OURS, phase, clients=MAIN_CLIENTS)
    )
    return None if decode is None or used is None else used - decode


def best(run: Run, keys: Iterable[str]) -> str:
    """Which of them answers most with 32 clients; empty if none does."""
    rates = {key: rate(run, key) or 0.0 for key in keys}
    found = max(rates, key=rates.__getitem__, default="")
    return found if found and rates[found] else ""


def _rates(run: Run, key: str, clients: int) -> dict[int, float]:
    found = measured(run, key, "closed", clients=clients)
    return {each["round"]: each["requests_per_second"] for each in found}


def _paired(one: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    return _median(one[each] / other[each] for each in one if other.get(each))


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.median(found) if found else None


@dataclass(frozen=True)
class Bar:
    """What a figure has to reach."""

    name: str
    value: float | None
    sense: Literal["≥", "≤"]
    bar: float
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `missed by …` or `not measured`."""
        if self.value is None:
            return "not measured"
        is_met = self.value >= self.bar if self.sense == "≥" else self.value <= self.bar
        return "met" if is_met else f"missed by {abs(self.value - self.bar) / self.bar:.0%}"


def bars(run: Run) -> list[Bar]:
    """What was promised for this model, held against this run."""
    has_amx = "amx_bf16" in run["machine"]["flags"]
    is_small = run["model"] == "MobileNetV2"
    engine = best(run, PRECISIONS)
    found = [
        Bar("TensorFlow engine to the floor", to_floor(run, _OURS, "tensorflow"), "≥", 0.90),
        Bar("Sightserve to FastAPI + model.predict", ratio(run, _OURS, "keras-predict"), "≥", 9),
        Bar("Sightserve to FastAPI + JSON lists", ratio(run, _OURS, "json-lists"), "≥", 9),
        Bar("Sightserve to LitServe, its best setting", ratio(run, _OURS, "litserve"), "≥", 1.5),
        Bar("Sightserve to the gRPC recipe", ratio(run, _OURS, "grpc-recipe"), "≥", 1.6),
        Bar("REST to gRPC", ratio(run, "ours-rest", _OURS), "≥", 0.75),
        Bar(
            "one client: p50 to that of a direct call and decoding",
            to_direct(run, _OURS), "≤", 1.15,
        ),
        Bar("added latency at 70 % load, p50, ms", added_ms(run, _OURS, "p50"), "≤", 2),
        Bar("added latency at 70 % load, p99, ms", added_ms(run, _OURS, "p99"), "≤", 8),
        Bar("gateway CPU beside decoding, ms, raw body",
            gateway_ms_beside_decode(run, "closed"), "≤", 1.0),
        Bar("gateway CPU beside decoding, ms, multipart",
            gateway_ms_beside_decode(run, "bodies"), "≤", 1.0),
    ]  # fmt: skip
    return [*(found if is_small else found[:6]), *_engine_bars(run, engine, has_amx=has_amx)]


def _engine_bars(run: Run, engine: str, *, has_amx: bool) -> list[Bar]:
    is_small = run["model"] == "MobileNetV2"
    wanted: Callable[[float, float], float] = lambda amx, none: amx if has_amx else none  # noqa: E731
    faster = wanted(2.0, 1.15) if is_small else wanted(1.7, 1.0)
    tensorflow = best(run, TENSORFLOW)
    memory, theirs = (
        resident_mb(run, key).get("model server") for key in (engine or "none", _OURS)
    )
    found = [
        Bar("OpenVINO to the best TensorFlow set-up",
            ratio(run, engine, tensorflow), "≥", faster, engine),
        Bar("model server's memory, OpenVINO to TensorFlow",
            memory / theirs if memory and theirs else None, "≤", 0.4, engine),
        Bar("--engine=auto to the best by hand",
            ratio(run, "ours-auto", best(run, ("ours-grpc", *PRECISIONS))), "≥", 0.97),
    ]  # fmt: skip
    if is_small:
        found.insert(1, Bar(
            "one client: p50, OpenVINO to TensorFlow",
            p50_ratio(run, engine, _OURS), "≤", wanted(0.6, 0.75), engine,
        ))  # fmt: skip
    return found
