"""Several model servers on different versions: is a request lost, does an answer mix two versions?

    python -m tests.load.replicas                                  # all scenes, some ten minutes
    python -m tests.load.replicas --scene staggered --tree ../other --json build/replicas.json
    python -m tests.load.replicas --scene killed --seconds 120 --protocols grpc --logs build/logs

Two or three embedded model servers, each with a volume of its own, and a gateway over gRPC and one
over REST in front of all of them, which share the rate. Every second request names nothing, the
others what the scene is about (`replica_scenes.py`). Every answer is held against what the version
that it names says about that picture, and against which server could have answered at that time.
Exits with 1 if one is lost or wrong, or if /readyz was ever anything but 200.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.load.client import Answer, Client, image_request, request_bytes
from tests.load.replica_answers import Asked, Result, Seen, judged
from tests.load.replica_scenes import NOTHING, SCENES, Ask, Plant, Scene
from tests.load.report import Check, conclude, exactly, table
from tests.load.running import stop_on_sigterm
from tests.support import colour_versions, stack
from tests.support.colour_versions import NAME, Artifacts
from tests.support.processes import ROOT
from tests.support.replicas import addresses, running_replicas

PROTOCOLS = ("grpc", "http")
COLOURS = ROOT / "build" / "colours"
"""Built once. Not among the models of the other scripts, which serve every folder there."""
BEFORE_SECONDS = AFTER_SECONDS = 1.5
"""Load before the first and after the last change."""
_READYZ_INTERVAL_SECONDS = 0.2
_PICTURES = 300
_SHOWN = 5
# A machine that is busy, with loading among others, makes photos wait; that is no request lost to a
# version.
_PATIENT = {
    "GATEWAY_TARGET_QUEUE_SECONDS": "5",
    "GATEWAY_DEFAULT_TIMEOUT_SECONDS": "30",
    "GATEWAY_LOG_FORMAT": "json",
}


@dataclass(frozen=True)
class How:
    """What of a scene can be chosen; None: as the scene says."""

    rate: float = 40.0
    """Requests per second, over all gateways."""
    servers: int | None = None
    protocols: Sequence[str] = PROTOCOLS
    tree: Path = ROOT
    """Whose gateway."""
    changes: int | None = None
    seconds: float | None = None
    pause_seconds: float = 1.0
    """Between two changes of one server, on average."""


@contextmanager
def running(
    scene: Scene,
    folder: Path,
    variants: Path,
    how: How,
) -> Iterator[tuple[Plant, dict[str, str]]]:
    """The servers, and the gateways' URLs by protocol."""
    artifacts = Artifacts(variants)
    first = [artifacts.new(n, _variant(n)) for n in scene.numbers]
    with ExitStack() as parts:
        replicas = parts.enter_context(
            running_replicas(
                folder, artifacts, [first] * (how.servers or scene.servers), policy=scene.policy
            )
        )
        urls = {}
        for protocol in how.protocols:
            where, log = addresses(replicas, protocol), folder / f"gateway-{protocol}.log"
            made = stack.gateway(where, NAME, log, folder=how.tree.resolve(), **_PATIENT)
            urls[protocol] = parts.enter_context(made).url
        yield (
            Plant(
                replicas,
                artifacts,
                scene.changes if how.changes is None else how.changes,
                scene.seconds if how.seconds is None else how.seconds,
                how.pause_seconds,
                current={each.number: each for each in first},
            ),
            urls,
        )


def run(name: str, folder: Path, variants: Path, how: How) -> list[Result]:
    """One scene on servers and gateways of its own, whose logs stay in `folder`."""
    scene = SCENES[name]
    with running(scene, folder, variants, how) as (plant, urls):
        start = time.perf_counter()
        seen = asyncio.run(_under_load(urls, how.rate, plant, lambda: scene.work(plant)))
    return [judged(name, each, seen[each], plant, start) for each in urls]


async def _under_load(
    urls: Mapping[str, str], rate: float, plant: Plant, work: Callable[[], None]
) -> dict[str, Seen]:
    """Ask all gateways in turn at this rate while the work is done, and whether they are ready."""
    seen = {protocol: Seen() for protocol in urls}
    clients = {protocol: Client(url) for protocol, url in urls.items()}
    probers = [asyncio.create_task(_probe(url, seen[each].readyz)) for each, url in urls.items()]
    pictures = [
        (banner, banner.png(number))
        for number, banner in zip(range(_PICTURES), colour_versions.banners(), strict=False)
    ]

    async def ask(protocol: str, ask: Ask, number: int, due: float) -> None:
        banner, data = pictures[number % len(pictures)]
        answer = await clients[protocol].ask(image_request(data, path=ask.path), due=due)
        seen[protocol].asked.append(Asked(ask, banner, answer))

    start = time.perf_counter()
    ending: float | None = None
    working: asyncio.Task[None] | None = None
    async with asyncio.TaskGroup() as group:
        for number in itertools.count():
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if ending is not None and due > ending:
                break
            turn, gateway = divmod(number, len(urls))
            asks = plant.asks
            what = asks[turn // 2 % len(asks)] if turn % 2 else NOTHING
            group.create_task(ask(list(urls)[gateway], what, number, time.perf_counter()))
            if working is None and due > start + BEFORE_SECONDS:
                working = group.create_task(asyncio.to_thread(work))
            if ending is None and working is not None and working.done():
                ending = time.perf_counter() + AFTER_SECONDS
    for prober in probers:
        prober.cancel()
    await asyncio.gather(*probers, return_exceptions=True)
    for client in clients.values():
        client.close()
    return seen


async def _probe(url: str, answers: list[Answer]) -> None:
    """As a kubelet: a new connection each time."""
    client = Client(url, keeps_alive=False)
    while True:
        answers.append(await client.ask(request_bytes("GET", "/readyz"), timeout=5.0))
        await asyncio.sleep(_READYZ_INTERVAL_SECONDS)


def checks(results: Sequence[Result]) -> list[Check]:
    """The bars."""
    return [
        exactly(f"{each.scene} over {each.protocol}: {what}", measured, 0)
        for each in results
        for what, measured in (
            ("lost", each.lost),
            ("mixed", each.mixed),
            ("/readyz other than 200", each.not_ready),
        )
    ]


def _variant(number: int) -> str:
    names = list(colour_versions.VARIANTS)
    return names[number % len(names)]


def _print(results: Sequence[Result]) -> None:
    titles = (
        "scene", "over", "requests", "lost", "%", "mixed", "late", "/readyz not 200", "versions",
        "p99 ms", "changes", "outcomes",
    )  # fmt: skip
    rows = [
        (
            each.scene,
            each.protocol,
            each.requests,
            each.lost,
            100 * each.lost / max(1, each.requests),
            each.mixed,
            each.late,
            f"{each.not_ready} of {each.probes}",
            each.versions,
            each.p99_ms,
            ", ".join(f"{count} {what}" for what, count in each.changes.items()),
            ", ".join(f"{count} x {what}" for what, count in sorted(each.outcomes.items())),
        )
        for each in results
    ]
    print(table(titles, rows), flush=True)


def _show_troubles(results: Sequence[Result]) -> None:
    for each in results:
        for kind in ("lost", "mixed", "late", "not ready"):
            found = [trouble for trouble in each.troubles if trouble.kind == kind]
            for trouble in found[:_SHOWN]:
                where = f"{each.scene} over {each.protocol} at {trouble.at_seconds} s"
                print(f"{where}: {kind}: {trouble.asked}: {trouble.text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scene", choices=SCENES, action="append", help="default: all")
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree of the gateway")
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second in all")
    parser.add_argument("--servers", type=int, help="model servers; the scene's own by default")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="grpc,http")
    parser.add_argument("--changes", type=int, help="publishes and rollbacks, moves or restarts")
    parser.add_argument("--seconds", type=float, help="of the scenes without changes")
    parser.add_argument("--pause", type=float, default=1.0, help="between a server's changes, s")
    parser.add_argument("--logs", type=Path, help="keep volumes and logs here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


def main() -> None:
    """Run the scenes, judge."""
    options = _parser().parse_args()
    stop_on_sigterm()
    variants = colour_versions.build(COLOURS)
    how = How(
        rate=options.rate,
        servers=options.servers,
        protocols=options.protocols.split(","),
        tree=options.tree,
        changes=options.changes,
        seconds=options.seconds,
        pause_seconds=options.pause,
    )
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.scene or SCENES:
            folder = (options.logs or Path(temporary)).resolve() / name
            folder.mkdir(parents=True)
            found = run(name, folder, variants, how)
            _print(found)
            _show_troubles(found)
            results += found
    _print(results)
    conclude(checks(results), {"results": [asdict(each) for each in results]}, options.json)


if __name__ == "__main__":
    main()
