r"""Mutated requests: none may be answered with 5xx, none may cost memory for good.

    python -m tests.load.fuzz [--cases 50000] [--seed 1]
    python -m tests.load.fuzz --replay 4711        (send one case again and print its answer)

What is sent: images of every format with flipped bits, cut, spliced and with false headers; forms
with damaged frames; strange parameters, headers, paths and methods; raw bytes on a connection,
among them shapes that make two servers disagree (request smuggling). With --keys the gateway asks
for an API key: half of the requests have it, none of the others may be classified.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from tests.load import process_tree
from tests.load.client import Answer, Client, image_request
from tests.load.mutations import Case, case
from tests.load.pictures import photos
from tests.load.report import MEGABYTE, Check, at_most, conclude, exactly, table
from tests.load.running import Target, stop_on_sigterm, target
from tests.support.processes import ROOT

_KEY = "a-key-for-the-fuzzer"
_RAW_SECONDS = 3.0
_RAW_END = b"GET /livez HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
_ANSWER_SECONDS = 30.0
_REASONS = ("5xx", "missing", "no problem", "smuggled", "without a key", "bad for a good photo")


@dataclass
class Findings:
    """What was answered, by kind of case."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: list[tuple[int, str, str]] = field(default_factory=list)
    """Number, kind, what was wrong."""
    memory_bytes: list[int] = field(default_factory=list)
    """After each tenth."""

    def count(self, reason: str) -> int:
        return sum(each[2].startswith(reason) for each in self.wrong)


def main() -> None:
    """Read the command line, send, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running gateway, instead of one of its own")
    parser.add_argument("--tree", type=Path, default=ROOT, help="working tree to run")
    parser.add_argument("--model", default="digits", choices=["digits", "photo", "fake"])
    parser.add_argument("--cases", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--keys", action="store_true", help="with API keys switched on")
    parser.add_argument("--replay", type=int, help="send only the case of this number")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    stop_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        settings = _key_settings(Path(folder)) if arguments.keys else {}
        with target(
            arguments.url, model=arguments.model, tree=arguments.tree, **settings
        ) as running:
            if arguments.replay is not None:
                replay(running, arguments)
                return
            findings = fuzz(
                running,
                seed=arguments.seed,
                cases=arguments.cases,
                clients=arguments.clients,
                has_keys=arguments.keys,
            )
    print(table(("kind", "answers"), _rows(findings)))
    for number, kind, reason in findings.wrong[:20]:
        print(f"case {number} ({kind}): {reason}", file=sys.stderr)
    conclude(
        judge(findings),
        {
            "outcomes": findings.outcomes,
            "wrong": findings.wrong,
            "memory_mb": [round(each / MEGABYTE, 1) for each in findings.memory_bytes],
        },
        arguments.json,
    )


def fuzz(
    running: Target, *, seed: int, cases: int, clients: int, has_keys: bool = False
) -> Findings:
    """Send so many cases; what was found."""
    findings = Findings()
    tenth = max(1, cases // 10)
    for start in range(0, cases, tenth):
        numbers = iter(range(start, min(cases, start + tenth)))
        uvloop.run(_send(running.url, numbers, findings, seed, clients, has_keys=has_keys))
        if running.pid is not None:
            findings.memory_bytes.append(process_tree.memory_bytes(running.pid))
        print(f"{start + tenth} cases, {len(findings.wrong)} wrong", file=sys.stderr, flush=True)
    return findings


def judge(findings: Findings) -> list[Check]:
    checks = [
        exactly(f"answers that are {reason}", findings.count(reason), 0) for reason in _REASONS
    ]
    if memory := findings.memory_bytes:
        warm, end = memory[min(1, len(memory) - 1)], memory[-1]
        growth_mb = (end - warm) / MEGABYTE
        checks.append(at_most("memory, from the second tenth to the end", growth_mb, 20, "MB"))
    return checks


def replay(running: Target, arguments: argparse.Namespace) -> None:
    """Print what is sent and what comes back."""
    made = case(arguments.seed, arguments.replay)
    print(made.kind, made.request[:2000])
    statuses = uvloop.run(_raw(running.url, made.request))
    print(statuses)


def _rows(findings: Findings) -> Iterator[tuple[str, str]]:
    for kind, outcomes in sorted(findings.outcomes.items()):
        yield kind, ", ".join(f"{total} x {status}" for status, total in sorted(outcomes.items()))


def _key_settings(folder: Path) -> dict[str, str]:
    path = folder / "keys"
    path.write_text(f"fuzzer:{hashlib.sha256(_KEY.encode()).hexdigest()}\n")
    return {"GATEWAY_API_KEYS_FILE": str(path)}


async def _send(
    url: str, numbers: Iterator[int], findings: Findings, seed: int, clients: int, *, has_keys: bool
) -> None:
    client = Client(url)
    key = f"X-API-Key: {_KEY}\r\n".encode() if has_keys else b""

    async def one() -> None:
        for number in numbers:
            made = case(seed, number)
            if not made.is_http:
                _note_raw(findings, number, made, await _raw(url, made.request))
                continue
            is_allowed = not has_keys or number % 2 == 0
            request = _with_header(made.request, key) if is_allowed else made.request
            answer = await client.ask(request, timeout=_ANSWER_SECONDS)
            note(findings, number, made, answer, is_allowed=is_allowed)

    await asyncio.gather(*(one() for _ in range(clients)))
    good = await client.ask(_with_header(image_request(photos()[0]), key), timeout=_ANSWER_SECONDS)
    if good.status != 200:
        findings.wrong.append((-1, "photo", f"bad for a good photo: {good.outcome}"))
    client.close()


def _with_header(request: bytes, line: bytes) -> bytes:
    end = request.index(b"\r\n") + 2
    return request[:end] + line + request[end:]


def note(findings: Findings, number: int, made: Case, answer: Answer, *, is_allowed: bool) -> None:
    findings.outcomes[made.kind][answer.outcome] += 1
    if answer.status >= 500:
        findings.wrong.append((number, made.kind, f"5xx: {answer.body[:200]!r}"))
    elif answer.status == 0:
        findings.wrong.append((number, made.kind, f"missing: {answer.error}"))
    elif not is_allowed and answer.status == 200 and b'"predictions":[' in answer.body:
        findings.wrong.append((number, made.kind, "without a key"))
    elif answer.status >= 400 and not _is_problem(answer):
        findings.wrong.append((number, made.kind, f"no problem: {answer.body[:200]!r}"))


def _is_problem(answer: Answer) -> bool:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return False
    return body.get("status") == answer.status and "type" in body and "title" in body


def _note_raw(findings: Findings, number: int, made: Case, statuses: list[int]) -> None:
    each_once = dict.fromkeys(map(str, statuses))  # of a pipeline
    findings.outcomes[made.kind][" then ".join(each_once) or "closed"] += 1
    if any(status >= 500 for status in statuses):
        findings.wrong.append((number, made.kind, f"5xx: {statuses} {made.request[:200]!r}"))
    if made.is_ambiguous and (len(statuses) > 1 or any(status < 400 for status in statuses)):
        findings.wrong.append((number, made.kind, f"smuggled: {statuses} {made.request[:200]!r}"))


async def _raw(url: str, request: bytes) -> list[int]:
    """Send the bytes and a last request behind them; the statuses of all answers."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    received = b""
    try:
        writer.write(request + _RAW_END)
        async with asyncio.timeout(_RAW_SECONDS):
            while data := await reader.read(1 << 16):
                received += data
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    return list(_statuses(received))


def _statuses(received: bytes) -> Iterator[int]:
    for line in received.split(b"HTTP/1.")[1:]:
        if line[:2] in {b"0 ", b"1 "} and line[2:5].isdigit() and line[2:3] != b"1":
            yield int(line[2:5])


if __name__ == "__main__":
    main()
