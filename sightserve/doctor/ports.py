"""Whether the ports that a service takes are free, and who holds them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sightserve.doctor.report import Finding, ok, warning
from sightserve.doctor.services import NoAnswerError, get_json
from sightserve.doctor.surroundings import Surroundings

_LISTEN: Final = "0A"
_ANSWER_SECONDS: Final = 1.0


def check_ports(surroundings: Surroundings) -> Iterator[Finding]:
    """Each port: free, held by a service of ours that answers, or held by somebody else."""
    yield from sorted(_findings(surroundings), key=lambda each: int(each.check.split()[1]))


def _findings(surroundings: Surroundings) -> Iterator[Finding]:
    ours: set[int] = set()
    # gRPC last: it is the model server's if the process also answers over REST.
    for what, port in sorted(surroundings.ports.items(), key=lambda each: "gRPC" in each[0]):
        check = f"port {port}"
        if _is_free(port):
            yield ok(check, f"free for the {what}")
            continue
        pid, name = _holder(port)
        by = f"{name} (process {pid})" if pid else "a process of another user or container"
        is_ours = pid in ours if "gRPC" in what else _answers(what, port)
        if is_ours:
            if pid:
                ours.add(pid)
            yield ok(check, f"a {what} answers there: {by}")
        else:
            yield warning(
                check,
                f"held by {by}: the {what} cannot take it",
                f"end it{f' (kill {pid})' if pid else ''}, or choose another port",
            )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


def _answers(what: str, port: int) -> bool:
    """Whether it speaks as ours do: readiness of the gateway, the model server's own 404."""
    path = "readyz" if what == "gateway" else "v1/models/sightserve-doctor"
    try:
        _, answer = get_json(f"http://127.0.0.1:{port}/{path}", timeout_seconds=_ANSWER_SECONDS)
    except NoAnswerError:
        return False
    return isinstance(answer, dict) and ("status" if what == "gateway" else "error") in answer


def _holder(port: int) -> tuple[int | None, str]:
    """Process id and command of who listens, by /proc; None where that is not to be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return None, ""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in sockets:
                process = descriptor.parent.parent
                words = (process / "cmdline").read_bytes().split(b"\0")
                command = b" ".join(words[:4]).decode(errors="replace").strip()
                return int(process.name), "".join(filter(str.isprintable, command))[:60]
        except OSError:  # gone meanwhile, or another user's
            continue
    return None, ""


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == _LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]
