"""What a worker says, if a hostile file has taken it over: nothing of it is believed unseen."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.decode.frames import REPORT, Report
from app.decode.job import Decoded
from app.decode.link import Link
from app.decode.reports import Price, Refusal, ReportError, Result, read_report

RESULT = {"format": "PNG", "width": 4, "height": 3, "seconds": 0.1, "cpu_seconds_ever": 0.2}
REFUSAL = {"detail": "damaged", "is_too_large": False, "cpu_seconds_ever": 0.2}
MOST = 100


def report(kind, facts, row=b""):
    text = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    return REPORT.pack(kind, len(text), len(row)) + text + row


def read(data):
    return read_report(memoryview(data), most_row_bytes=MOST)


def test_reports_of_honest_workers_are_read():
    decoded = Decoded(b"row", "PNG", 4, 3, 0.1, ("odd",))
    assert read(report(Report.RESULT, RESULT | {"warnings": ["odd"]}, b"row")) == Result(
        decoded, 0.2
    )
    assert read(report(Report.REFUSED, REFUSAL)) == Refusal("damaged", False, (), 0.2)  # noqa: FBT003 - a fact
    assert read(REPORT.pack(Report.PRICE, 0, 1 << 60)) == Price(1 << 60)


def test_a_report_is_waited_for_until_it_is_whole_and_ends_where_it_says():
    whole = report(Report.RESULT, RESULT, b"row")
    assert {read(whole[:size]) for size in range(len(whole))} == {None}
    assert read(whole + b"more").decoded.row == b"row"


@pytest.mark.parametrize(
    "head",
    [
        REPORT.pack(Report.RESULT, 2, MOST + 1),
        REPORT.pack(Report.RESULT, 2, (1 << 64) - 1),
        REPORT.pack(Report.REFUSED, 65_537, 0),
        REPORT.pack(Report.RESULT, (1 << 32) - 1, 0),
    ],
)
def test_what_is_too_long_is_refused_before_it_arrives(head):
    with pytest.raises(ReportError):
        read(head)


@pytest.mark.parametrize(
    "data",
    [
        report(0, RESULT),
        report(99, RESULT),
        report(Report.RESULT, b"\xff"),
        report(Report.RESULT, b"[" * 60_000),
        report(Report.RESULT, []),
        report(Report.RESULT, {}),
        *(report(Report.RESULT, RESULT | {name: None}) for name in RESULT),
        *(report(Report.REFUSED, REFUSAL | {name: None}) for name in REFUSAL),
        report(Report.RESULT, RESULT | {"width": True}),
        report(Report.RESULT, RESULT | {"seconds": -1.0}),
        report(Report.RESULT, RESULT | {"seconds": float("nan")}),
        report(Report.RESULT, RESULT | {"cpu_seconds_ever": float("inf")}),
        report(Report.RESULT, RESULT | {"warnings": "odd"}),
        report(Report.RESULT, RESULT | {"warnings": [1]}),
    ],
)
def test_nonsense_is_refused(data):
    with pytest.raises(ReportError):
        read(data)


@pytest.mark.anyio
async def test_a_link_reads_no_further_than_what_cannot_be_a_report():
    said = asyncio.Queue()
    link = Link(1, lambda link, reported: said.put_nowait((link.number, reported)))
    with link.theirs as worker:
        link.send_job(b"", b"", MOST)
        worker.sendall(REPORT.pack(Report.RESULT, 2, MOST + 1) + bytes(1000))
        assert await asyncio.wait_for(said.get(), 30) == (1, None)
        worker.sendall(report(Report.REFUSED, REFUSAL))
        await asyncio.sleep(0.05)
        assert said.empty()
        link.close()


@pytest.mark.anyio
async def test_the_memory_that_is_granted_is_what_a_row_may_take():
    said = asyncio.Queue()
    link = Link(1, lambda _, reported: said.put_nowait(reported))
    with link.theirs as worker:
        link.send_job(b"", b"", MOST)
        link.grant(2 * MOST)
        worker.sendall(report(Report.RESULT, RESULT, bytes(2 * MOST)))
        result = await asyncio.wait_for(said.get(), 30)
        assert result.decoded.row == bytes(2 * MOST)
        link.close()
