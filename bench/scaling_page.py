"""docs/scaling.md from bench/results/scaling.json: the words here, every figure from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bench.scaling_plan import MODEL_SERVER_CORES, USED, Costs, Plan, largest_batch

TEMPLATE: Final = Path(__file__).with_name("scaling_page.md")
_DEADLINES_MS: Final = (20, 50, 100, 200, 500)
_NAMES: Final = {
    "1x1": "1 gateway process, 1 model server",
    "2x1": "2 gateway processes, 1 model server",
    "1x2": "1 gateway process, 2 model servers",
    "2x2": "2 gateway processes, 2 model servers",
}


def write_page(results: dict[str, Any], path: Path) -> None:
    """Write the page."""
    path.write_text(page(results), encoding="utf-8")


def page(results: dict[str, Any]) -> str:
    """The page as Markdown."""
    costs = Costs.of(results)
    small, large = Plan.of(1_000, costs), Plan.of(100_000, costs)
    base = results["set_ups"]["1x1"]["requests_per_second"]
    batches = results["batch_cpu_ms"]
    best = min(batches, key=lambda size: batches[size] / int(size))
    values = {
        "model": results["model"],
        "cpu": results["machine"]["cpu"],
        "cores": results["machine"]["cores"],
        "load_average": results["machine"]["load_average"],
        "clients": results["clients"],
        "rounds": results["rounds"],
        "seconds": results["seconds"],
        "kilobytes": f"{costs.image_bytes / 1000:.0f}",
        "tensor_kilobytes": f"{costs.tensor_bytes / 1000:.0f}",
        "measured": "\n".join(
            _measured(name, each, base) for name, each in results["set_ups"].items()
        ),
        "loop_ms": f"{costs.loop_ms:.2f}",
        "decode_ms": f"{costs.decode_ms:.2f}",
        "model_server_ms": f"{costs.model_server_ms:.1f}",
        "per_core": f"{costs.per_core:.0f}",
        "ratio": f"{costs.ratio:.1f}",
        "per_process": f"{costs.per_process:.0f}",
        "used": f"{100 * USED:.0f}",
        "batches": "\n".join(_batch(size, ms) for size, ms in results["batch_cpu_ms"].items()),
        "deadlines": "\n".join(
            _deadline(deadline, results, costs.decode_ms + costs.loop_ms)
            for deadline in _DEADLINES_MS
        ),
        "best_batch": best,
        "best_gain": f"{batches[best] / int(best) / batches['1']:.2f}",
        "plan": _plan(small, large),
        "server_cores": MODEL_SERVER_CORES,
        "small_processes": small.processes,
        "small_servers": small.model_servers,
        "small_tensors": f"{small.tensors_gbit:.1f}",
        "small_photos": f"{small.photos_gbit:.1f}",
        "small_pair": f"{small.rate_per_pair:.0f}",
        "large_tensors": f"{large.tensors_gbit:.0f}",
        "large_photos": f"{large.photos_gbit:.0f}",
        "large_connections": f"{large.connections:,}",
        "large_pair": f"{large.rate_per_pair:.2f}",
        "large_logs": f"{large.log_gb_per_day / 1000:.1f}",
        "large_series": f"{large.series:,}",
        "large_weights": f"{large.model_servers * 14 / 1000:.1f}",
        "large_servers": f"{large.model_servers:,}",
        "series": costs.series,
        "log_bytes": costs.log_bytes,
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def _measured(name: str, of: dict[str, Any], base: float) -> str:
    rate = of["requests_per_second"]
    cells = (
        _NAMES[name],
        f"{rate:.0f}",
        f"{rate / base:.2f}",
        f"{of['p50_ms']:.0f}, {of['p99_ms']:.0f}",
        f"{of['images_per_batch']:.1f}",
        f"{of['loop_ms']:.2f}, {of['decode_ms']:.2f}",
        f"{of['model_server_ms']:.1f}",
        f"{of['gateway_bytes'] / 1e6:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def _batch(size: str, milliseconds: float) -> str:
    each = milliseconds / int(size)
    return f"| {size} | {milliseconds:.0f} | {each:.1f} | {1000 / each:.0f} |"


def _deadline(deadline: int, results: dict[str, Any], other_ms: float) -> str:
    batches = results["batch_cpu_ms"]
    size = largest_batch(batches, deadline, other_ms)
    if not size:
        return f"| {deadline} ms | none: one image takes longer | | |"
    milliseconds = batches[str(size)]
    seconds = f"{milliseconds / 1000:.3f}".rstrip("0")
    per_core = 1000 * size / milliseconds
    return f"| {deadline} ms | {size} | `{seconds}` | {per_core:.0f} |"


def _plan(*plans: Plan) -> str:
    rows = {
        "gateways: cores": [f"{plan.gateway_cores:,}" for plan in plans],
        "gateways: processes": [f"{plan.processes:,}" for plan in plans],
        "model servers: cores": [f"{plan.model_server_cores:,}" for plan in plans],
        f"model servers: processes of {MODEL_SERVER_CORES} cores": [
            f"{plan.model_servers:,}" for plan in plans
        ],
        "memory, as measured": [f"{plan.memory_gb:,.0f} GB" for plan in plans],
        "photos in": [f"{plan.photos_gbit:.1f} Gbit/s" for plan in plans],
        "tensors, gateways to model servers": [f"{plan.tensors_gbit:.1f} Gbit/s" for plan in plans],
        "gRPC connections, each to each": [f"{plan.connections:,}" for plan in plans],
        "requests per second on each of them": [f"{plan.rate_per_pair:.2g}" for plan in plans],
        "log": [f"{plan.log_gb_per_day:,.0f} GB a day" for plan in plans],
        "series of the gateways, eight processes to a target": [
            f"{plan.series:,}" for plan in plans
        ],
    }
    return "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())
