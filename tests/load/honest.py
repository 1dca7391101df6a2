r"""What an honest client's request costs: two working trees on one model server.

    git worktree add --detach /tmp/before COMMIT
    python -m tests.load.honest --before /tmp/before [--after .]

Each round has two parts. Together: every client asks both gateways in turn, so that whatever else
the machine does hits both alike; the bar holds for the ratio of their processor time per request
(the gateway's whole process tree, workers included), the median over the rounds. Alone: one gateway
after the other has all clients, which gives requests per second and latencies. Clients send
distinct photos of 51 kB to a model that takes 224 x 224 pixels and computes little.
--before . --after . shows how much is noise.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from tests.load import process_tree
from tests.load.client import Answer, Client, closed_loop, image_request, percentile
from tests.load.pictures import photos
from tests.load.report import MEGABYTE, Check, at_most, conclude, exactly, table
from tests.load.running import MODELS, Target, gateway, model_server, stop_on_sigterm
from tests.support.processes import ROOT

_NAMES = ("before", "after")
_WARM_UP_SECONDS = 3.0


@dataclass(frozen=True)
class Part:
    """What one gateway did in one part of a round."""

    answers: int
    failures: int
    cpu_ms_per_request: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    processes: int


@dataclass(frozen=True)
class Round:
    """Both gateways, by name."""

    together: dict[str, Part]
    alone: dict[str, Part]

    @property
    def ratio(self) -> float:
        """Processor time per request, after / before, measured at the same time."""
        before, after = (self.together[name].cpu_ms_per_request for name in _NAMES)
        return after / before


def main() -> None:
    """Read the command line, measure, judge."""
    arguments = _parser().parse_args()
    stop_on_sigterm()
    checks: list[Check] = []
    figures = {}
    with model_server(arguments.models) as server:
        for protocol in arguments.protocols.split(","):
            with ExitStack() as stack:
                targets = {
                    name: stack.enter_context(
                        gateway(server.url(protocol), arguments.model, tree, **_settings(arguments))
                    )
                    for name, tree in zip(_NAMES, (arguments.before, arguments.after), strict=True)
                }
                rounds = _rounds(targets, protocol, arguments)
            figures[protocol] = [asdict(each) for each in rounds]
            checks += _judge(rounds, protocol, arguments.bar)
    conclude(checks, figures, arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, default=ROOT, help="working tree to compare with")
    parser.add_argument("--after", type=Path, default=ROOT, help="working tree that is judged")
    parser.add_argument("--protocols", default="grpc,http", help="to the model server")
    parser.add_argument("--model", default="photo", choices=["photo", "digits"])
    parser.add_argument("--models", type=Path, default=MODELS, help="where models are published")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a part of a round")
    parser.add_argument("--bar", type=float, default=1.05, help="highest ratio that passes")
    parser.add_argument("--set", action="append", default=[], metavar="GATEWAY_NAME=VALUE")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


def _settings(arguments: argparse.Namespace) -> dict[str, str]:
    return dict(each.split("=", 1) for each in arguments.set)


def _rounds(
    targets: dict[str, Target], protocol: str, arguments: argparse.Namespace
) -> list[Round]:
    both = list(targets.values())
    _drive(both, arguments.clients, _WARM_UP_SECONDS)
    rounds = []
    for number in range(arguments.rounds):
        together = dict(
            zip(targets, _drive(both, arguments.clients, arguments.seconds), strict=True)
        )
        alone = {}
        for name in sorted(targets, reverse=number % 2 == 0):
            (alone[name],) = _drive([targets[name]], arguments.clients, arguments.seconds)
        rounds.append(Round(together, alone))
        costs = ", ".join(f"{name} {together[name].cpu_ms_per_request:.2f}" for name in targets)
        print(
            f"{protocol}: CPU ms/request {costs}, ratio {rounds[-1].ratio:.3f}",
            file=sys.stderr,
            flush=True,
        )
    return rounds


def _drive(targets: Sequence[Target], clients: int, seconds: float) -> list[Part]:
    """So many clients, each asking the gateways in turn; what each gateway did."""
    pids = [target.pid for target in targets if target.pid is not None]
    before = [process_tree.cpu_seconds(pid) for pid in pids]
    answers = uvloop.run(_ask_in_turn(targets, clients, seconds))
    cpu = [process_tree.cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
    return [
        _part(each, cpu_seconds, process_tree.usage(pid))
        for each, cpu_seconds, pid in zip(answers, cpu, pids, strict=True)
    ]


async def _ask_in_turn(
    targets: Sequence[Target], clients: int, seconds: float
) -> list[list[Answer]]:
    requests = [image_request(data) for data in photos()]
    gateways = [Client(target.url) for target in targets]
    answers: list[list[Answer]] = [[] for _ in targets]

    async def ask(number: int) -> Answer:
        request = requests[number % len(requests)]
        for client, received in zip(gateways, answers, strict=True):
            received.append(await client.ask(request))
        return received[-1]

    await closed_loop(ask, clients=clients, seconds=seconds)
    for client in gateways:
        client.close()
    return answers


def _part(answers: Sequence[Answer], cpu_seconds: float, usage: process_tree.Usage) -> Part:
    good = [each for each in answers if each.status == 200]
    if len(good) < len(answers):
        print(Counter(each.outcome for each in answers), file=sys.stderr)
    seconds = max(each.done for each in answers) - min(each.due for each in answers)
    return Part(
        answers=len(good),
        failures=len(answers) - len(good),
        cpu_ms_per_request=1000 * cpu_seconds / max(1, len(good)),
        requests_per_second=len(good) / seconds,
        p50_ms=1000 * percentile([each.seconds for each in good], 50),
        p99_ms=1000 * percentile([each.seconds for each in good], 99),
        memory_mb=usage.pss_bytes / MEGABYTE,
        processes=usage.processes,
    )


def _judge(rounds: Sequence[Round], protocol: str, bar: float) -> list[Check]:
    rows = []
    for name in _NAMES:
        alone = [each.alone[name] for each in rounds]
        rows.append(
            (
                protocol,
                name,
                round(
                    statistics.median(each.together[name].cpu_ms_per_request for each in rounds), 2
                ),
                round(statistics.median(each.cpu_ms_per_request for each in alone), 2),
                round(statistics.median(each.requests_per_second for each in alone)),
                round(statistics.median(each.p50_ms for each in alone), 1),
                round(statistics.median(each.p99_ms for each in alone), 1),
                round(alone[-1].memory_mb),
                alone[-1].processes,
            )
        )
    titles = (
        "protocol", "tree", "CPU ms/request together", "alone", "requests/s", "p50 ms", "p99 ms",
        "memory MB", "processes",
    )  # fmt: skip
    print(table(titles, rows))
    parts = [part for each in rounds for part in (*each.together.values(), *each.alone.values())]
    ratio = statistics.median(each.ratio for each in rounds)
    return [
        at_most(f"{protocol}: CPU per request, after / before", ratio, bar),
        exactly(f"{protocol}: requests that failed", sum(each.failures for each in parts), 0),
    ]


if __name__ == "__main__":
    main()
