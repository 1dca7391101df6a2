"""Label moves, rollbacks and pins while clients ask: how many answers are not 2xx.

    python -m tests.load.release --rate 50 --json build/release.json

Two gateways, one over gRPC and one over REST, share the rate; every second request names the label.
The model server is the embedded one, its config file polled every second. Exits with 1 if an answer
is not 200.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.load.client import Answer, Client, image_request, percentile
from tests.load.running import stop_on_sigterm
from tests.support import fixture_models, stack
from tests.support.model_server import RunningModelServer, running_model_server
from tests.support.pictures import encoded, photographs

NAME = "m"
BEFORE_SECONDS = AFTER_SECONDS = 1.5
"""Load before the first and after the last command."""

CONFIG = """# Whoever edits this: labels last.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "{base_path}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 }} }}  # one at a time
    version_labels {{ key: "stable" value: 1 }}
  }}
}}
"""


@dataclass(frozen=True)
class Stack:
    """Two gateways before one model server, and the files behind it."""

    models: Path
    config: Path
    server: RunningModelServer
    gateways: tuple[str, str]

    def exporter(self, command: str, *arguments: str) -> dict[str, Any]:
        """Run a command on the model; what it says as JSON."""
        config = ("--config", str(self.config)) if self.config.exists() else ()
        output = stack.export(
            *(command, NAME, *arguments, *config, "--base-path", str(self.models)),
            *("--model-server", self.server.url("grpc"), "--json"),
        )
        return dict(json.loads(output[output.index("{\n") : output.rindex("\n}") + 2]))


@contextmanager
def running(folder: Path, versions: Path, *, is_governed: bool = True) -> Iterator[Stack]:
    """The stack on two versions of the fixture models; without a config file: `latest`."""
    models = folder / "models"
    for number in (1, 2):
        shutil.copytree(versions / NAME / str(number), models / NAME / str(number))
    config = folder / "models.config"
    flags = (f"--model_name={NAME}", f"--model_base_path={models / NAME}")
    if is_governed:
        config.write_text(CONFIG.format(name=NAME, base_path=models / NAME))
        flags = (f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1")
    # A machine that is busy with others makes photos wait; that is no request lost to a move.
    patient = {"GATEWAY_TARGET_QUEUE_SECONDS": "5"}
    common = ("--file_system_poll_wait_seconds=1", "--grpc_max_threads=64")
    with (
        running_model_server(folder, *flags, *common) as server,
        stack.gateway(server.url("grpc"), NAME, folder / "grpc.log", **patient) as over_grpc,
        stack.gateway(server.url("http"), NAME, folder / "rest.log", **patient) as over_rest,
    ):
        yield Stack(models, config, server, (over_grpc.url, over_rest.url))


def under_load(
    urls: Sequence[str], rate: float, work: Callable[[], None], *, labels: Sequence[str | None]
) -> list[Answer]:
    """Ask at this rate, all gateways and labels in turn, while the work is done; all answers."""
    return asyncio.run(_under_load(urls, rate, work, labels))


async def _under_load(
    urls: Sequence[str], rate: float, work: Callable[[], None], labels: Sequence[str | None]
) -> list[Answer]:
    photo = encoded(photographs()["cat"][:64, :64], "PNG")
    suffixes = [f"?version_label={label}" if label else "" for label in labels]
    requests = [image_request(photo, path=f"/classify{suffix}") for suffix in suffixes]
    clients = [Client(url) for url in urls]
    tasks: list[asyncio.Task[Answer]] = []
    start = time.perf_counter()
    ending: float | None = None
    working: asyncio.Task[None] | None = None
    async with asyncio.TaskGroup() as group:
        while ending is None or time.perf_counter() < ending:
            number = len(tasks)
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            request = requests[number // len(clients) % len(requests)]
            client = clients[number % len(clients)]
            tasks.append(group.create_task(client.ask(request, due=due)))
            if working is None and due > start + BEFORE_SECONDS:
                working = group.create_task(asyncio.to_thread(work))
            if ending is None and working is not None and working.done():
                ending = time.perf_counter() + AFTER_SECONDS
    for client in clients:
        client.close()
    return [task.result() for task in tasks]


def label_moves(made: Stack) -> None:
    """A canary comes, is promoted, rolled back, and goes."""
    made.exporter("label", "canary=2")
    made.exporter("label", "stable=2")
    assert made.exporter("rollback")["to"] == 1
    made.exporter("label", "canary=")
    made.exporter("label", "stable=2")
    made.exporter("rollback", "--to", "1")


def one_move(made: Stack) -> None:
    """The shortest way there and back: each of its three steps twice."""
    made.exporter("label", "stable=2")
    assert made.exporter("rollback")["to"] == 1


def pins(made: Stack) -> None:
    """Labels go, version 2 comes, is rolled back by the policy, and back to the highest."""
    made.exporter("label", "--remove", "stable")
    made.exporter("rollback", "--to", "latest")
    time.sleep(3)
    assert made.exporter("rollback", "--pin")["way"] == "policy"


def republications(made: Stack) -> None:
    """Version 1 again as 3; what is not served any more goes."""
    assert made.exporter("rollback")["version"] == 3
    assert 1 in made.exporter("prune", "--keep", "1", "--yes")["removed"]


def nothing(made: Stack) -> None:
    """What the machine loses by itself."""
    del made
    time.sleep(20)


SCENES: dict[str, tuple[Callable[[Stack], None], tuple[str | None, ...]]] = {
    "labels": (label_moves, ("stable", None)),
    "one move": (one_move, ("stable", None)),
    "pins": (pins, (None,)),
    "republications": (republications, (None,)),
    "nothing": (nothing, ("stable", None)),
}


def scene(name: str, rate: float, folder: Path, versions: Path) -> list[Answer]:
    """One scene on a stack of its own; all answers."""
    work, labels = SCENES[name]
    with running(folder, versions, is_governed=name != "republications") as made:
        return under_load(made.gateways, rate, lambda: work(made), labels=labels)


def versions_of(answers: Sequence[Answer]) -> Counter[int]:
    """How many answers each version gave."""
    return Counter(
        json.loads(answer.body)["model"]["version"] for answer in answers if answer.status == 200
    )


def figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """What is reported of a scene."""
    seconds = [answer.seconds for answer in answers]
    failed = [answer for answer in answers if answer.status != 200]
    start = min(answer.due for answer in answers)
    return {
        "requests": len(answers),
        "seconds": round(max(answer.done for answer in answers) - start, 1),
        "outcomes": dict(Counter(answer.outcome for answer in answers)),
        "versions": dict(versions_of(answers)),
        "p99_ms": round(1000 * percentile(seconds, 99), 1),
        "max_ms": round(1000 * max(seconds), 1),
        "failed_at_seconds": [round(answer.due - start, 1) for answer in failed],
        "failures": sorted({answer.body.decode(errors="replace")[:300] for answer in failed}),
    }


def main() -> None:
    """Run the scenes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50.0, help="requests per second in all")
    parser.add_argument("--scene", choices=SCENES, action="append", help="default: all")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    stop_on_sigterm()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / "versions"
        fixture_models.build(versions)
        for name in options.scene or SCENES:
            place = Path(folder) / name
            place.mkdir()
            found[name] = figures(scene(name, options.rate, place, versions))
            print(name, json.dumps(found[name]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(any(set(each["outcomes"]) != {"200"} for each in found.values()))


if __name__ == "__main__":
    main()
