"""Several model servers, each with a volume and a config of its own: a cluster in a rollout.

Every change waits until the server itself says that it is done, and is noted: `Stay` and `Sign` say
which answers could have come from where. Times are time.perf_counter().
"""

from __future__ import annotations

import math
import random
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.colour_versions import NAME, Artifact, Artifacts, remove
from tests.support.model_server import RunningModelServer, running_model_server
from tests.support.processes import wait_until

_FLAGS = (
    "--file_system_poll_wait_seconds=1",
    "--model_config_file_poll_wait_seconds=1",
    "--grpc_max_threads=64",
    "--tensorflow_intra_op_parallelism=1",
    "--tensorflow_inter_op_parallelism=2",
)
_CHANGE_SECONDS = 60.0
LATEST = "latest { num_versions: 1 }"
ALL = "all {}"


@dataclass
class Stay:
    """An artifact on one server: it may answer from `begun` to `ended`, and must in between."""

    artifact: Artifact
    begun: float = math.inf
    available: float = math.inf
    leaving: float = math.inf
    ended: float = math.inf

    def may_answer(self, since: float, until: float) -> bool:
        """At some moment in between."""
        return self.begun <= until and since <= self.ended

    def must_answer(self, since: float, until: float) -> bool:
        """At every moment in between."""
        return self.available <= since and until <= self.leaving


@dataclass
class Sign:
    """A label on one server: it may stand for the version from `begun` to `ended`."""

    label: str
    number: int
    begun: float
    ended: float = math.inf


class Replica:
    """One model server of several. Its changes are made by one thread at a time."""

    def __init__(self, folder: Path, artifacts: Artifacts, *, policy: str = LATEST) -> None:
        """Nothing is published and nothing runs yet; the ports stay the same for good."""
        self._folder = folder
        self._artifacts = artifacts
        self._policy = policy
        self._grpc_port, self._rest_port = _ports()
        self._starts = 0
        self._running = ExitStack()
        self._server: RunningModelServer | None = None
        self._http = httpx.Client(timeout=10, trust_env=False, verify=False)  # noqa: S501
        self.labels: dict[str, int] = {}
        """As the config assigns them."""
        self.published: dict[int, Artifact] = {}
        """What lies on the volume, by number."""
        self.stays: list[Stay] = []
        self.signs: list[Sign] = []
        (folder / NAME).mkdir(parents=True)
        self._write_config()

    @property
    def newest(self) -> int:
        """The highest number on the volume: the one that is served, unless all are."""
        return max(self.published)

    def url(self, protocol: str) -> str:
        """What GATEWAY_MODEL_SERVER_URL takes; protocol is grpc or http."""
        port = self._grpc_port if protocol == "grpc" else self._rest_port
        return f"{protocol}://127.0.0.1:{port}"

    def launch(self) -> None:
        """Start the server."""
        flags = (f"--model_config_file={self._config}", *_FLAGS)
        ports = (self._grpc_port, self._rest_port)
        self._starts += 1
        log = self._folder / f"start-{self._starts}"
        log.mkdir()
        server = running_model_server(log, *flags, ports=ports, is_awaited=False)
        begun = time.perf_counter()
        self._server = self._running.enter_context(server)
        self.stays += [Stay(each, begun) for each in self._wanted().values()]

    def settle(self) -> None:
        """Wait until it serves what is on the volume, and nothing loads or unloads."""

        def claim() -> bool:
            return self._has_settled() or not (self._server and self._server.process.is_running)

        wait_until(claim, f"a change of {self._folder}", seconds=_CHANGE_SECONDS)
        assert self._has_settled(), self._server.output if self._server else "it was never started"
        now, wanted = time.perf_counter(), self._wanted().values()
        for stay in self._open_stays():
            if stay.artifact in wanted:
                stay.available = min(stay.available, now)
            else:
                stay.ended = now

    def stop(self, number: signal.Signals) -> None:
        """SIGTERM or SIGKILL, and wait for its end."""
        assert self._server is not None
        self._leave(stay.artifact for stay in self._open_stays())
        self._server.process.send(number)
        self._server.process.wait()
        self._running.close()
        for stay in self._open_stays():
            stay.ended = time.perf_counter()

    def close(self) -> None:
        """End what still runs."""
        self._running.close()
        self._http.close()

    def place(self, artifact: Artifact) -> None:
        """Put it on the volume, whatever the server makes of it."""
        self._artifacts.write(artifact, self._folder / NAME)
        self.published[artifact.number] = artifact

    def take(self, number: int) -> None:
        """Take it off the volume, whatever the server makes of it."""
        del self.published[number]
        remove(self._folder / NAME, number)

    def publish(self, artifact: Artifact) -> None:
        """Put it on the volume; the server has loaded it, and has dropped what it replaces."""
        self._change(self.published | {artifact.number: artifact})
        self.place(artifact)
        self.settle()

    def withdraw(self, number: int) -> None:
        """Take a version off the volume: what is left is served, and the version is gone."""
        self._change({key: each for key, each in self.published.items() if key != number})
        self.take(number)
        self.settle()

    def assign(self, labels: Mapping[str, int]) -> None:
        """Have these labels and no other."""
        begun, gone = time.perf_counter(), self.labels.items() - labels.items()
        new = [Sign(*each, begun) for each in labels.items() - self.labels.items()]
        self.signs += new
        dropped = self.labels.keys() - labels.keys()
        self.labels = dict(labels)
        self._write_config()
        wait_until(lambda: self._has_labels(dropped), f"labels {labels}", seconds=_CHANGE_SECONDS)
        now = time.perf_counter()
        for sign in self.signs:
            if (sign.label, sign.number) in gone and sign not in new:
                sign.ended = min(sign.ended, now)

    @property
    def _config(self) -> Path:
        return self._folder / "models.config"

    def _wanted(self) -> dict[int, Artifact]:
        return self._of_policy(self.published)

    def _of_policy(self, published: Mapping[int, Artifact]) -> dict[int, Artifact]:
        newest = max(published, default=0)
        return {
            number: each
            for number, each in published.items()
            if self._policy == ALL or number == newest
        }

    def _open_stays(self) -> list[Stay]:
        return [stay for stay in self.stays if stay.ended == math.inf]

    def _change(self, published: Mapping[int, Artifact]) -> None:
        """Note what is about to come and to go."""
        wanted = self._of_policy(published).values()
        here = [stay.artifact for stay in self._open_stays()]
        begun = time.perf_counter()
        self.stays += [Stay(each, begun) for each in wanted if each not in here]
        self._leave(each for each in here if each not in wanted)

    def _leave(self, artifacts: Iterator[Artifact]) -> None:
        leaving, now = set(artifacts), time.perf_counter()
        for stay in self._open_stays():
            if stay.artifact in leaving:
                stay.leaving = min(stay.leaving, now)

    def _write_config(self) -> None:
        labels = "".join(
            f'version_labels {{ key: "{label}" value: {number} }} '
            for label, number in sorted(self.labels.items())
        )
        text = (
            f'model_config_list {{ config {{ name: "{NAME}" base_path: "{self._folder / NAME}" '
            f'model_platform: "tensorflow" model_version_policy {{ {self._policy} }} {labels}}} }}'
        )
        staged = self._config.with_suffix(".staged")
        staged.write_text(text + "\n")
        staged.replace(self._config)

    def _has_settled(self) -> bool:
        answer = self._get("")
        if answer is None:
            return False
        states = {int(e["version"]): e["state"] for e in answer.json()["model_version_status"]}
        moving = {"START", "LOADING", "UNLOADING"} & set(states.values())
        available = {number for number, state in states.items() if state == "AVAILABLE"}
        return not moving and available == set(self._wanted())

    def _has_labels(self, dropped: set[str]) -> bool:
        """Metadata of a label says which version it stands for."""
        if any(self._get(f"/labels/{label}/metadata") for label in dropped):
            return False
        for label, number in self.labels.items():
            answer = self._get(f"/labels/{label}/metadata")
            if not answer or int(answer.json()["model_spec"]["version"]) != number:
                return False
        return True

    def _get(self, path: str) -> httpx.Response | None:
        try:
            answer = self._http.get(f"{self.url('http')}/v1/models/{NAME}{path}")
        except httpx.TransportError:
            return None
        return answer if answer.status_code == httpx.codes.OK else None


@contextmanager
def running_replicas(
    folder: Path,
    artifacts: Artifacts,
    placed: Sequence[Sequence[Artifact]],
    *,
    policy: str = LATEST,
) -> Iterator[list[Replica]]:
    """A replica for each list of artifacts, which it serves from the start."""
    with ExitStack() as stack:
        replicas = []
        for number, each in enumerate(placed):
            replica = Replica(folder / f"replica-{number}", artifacts, policy=policy)
            stack.callback(replica.close)
            for artifact in each:
                replica.place(artifact)
            replica.launch()
            replicas.append(replica)
        for replica in replicas:
            replica.settle()
        yield replicas


def addresses(replicas: Sequence[Replica], protocol: str) -> str:
    """All of them as GATEWAY_MODEL_SERVER_URL takes several."""
    return ",".join(replica.url(protocol) for replica in replicas)


def _ports() -> tuple[int, int]:
    """For gRPC and REST, outside of the range that the system gives to clients.

    While a server is down, its port must go to nobody else, nor a client connect to itself.
    """
    found: list[int] = []
    while len(found) < 2:
        port = random.randrange(12_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
    return found[0], found[1]
