"""Worker processes that decode: bombs, turns, memory, and processes that end at odd moments."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest

from app.decode import judge
from app.decode.endings import SLOW_SECONDS
from app.decode.job import Decoded
from app.decode.reports import Result
from app.errors import (
    DeadlineExceededError,
    GatewayError,
    ImageTooCostlyError,
    ImageTooLargeError,
    InvalidImageError,
    OverloadedError,
)
from app.http.problems import problem_type
from contract.decoding import decode
from contract.opening import DEFAULT_FORMATS
from tests.support.bombs import BOMBS, BY_NAME
from tests.support.decode_pool import MEMORY_BYTES, PLAN, running_pool
from tests.support.forged import png
from tests.support.pictures import encoded
from tests.support.processes import ROOT, wait_until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

GOOD = encoded(np.random.default_rng(3).integers(0, 255, (375, 500, 3), np.uint8))
LARGE = encoded(np.zeros((3000, 3000, 3), np.uint8), "PNG")
"""More than the memory that a worker may keep for its next job."""
ENDLESS = BY_NAME["jpeg-20mb-of-padding"].make()
OVERHEAD_BYTES = 80_000_000
"""Two workers, two more while some are slow, and the zygote."""


async def outcome(bench, data, **options):
    """The HTTP status that an image ends in."""
    try:
        await bench.decode(data, **options)
    except GatewayError as error:
        return problem_type(error).status
    return 200


async def until(claim, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_every_bomb_is_answered_and_good_images_go_on_beside_it():
    async with running_pool(timeout_seconds=2.0) as bench:
        peak, good = 0, []

        async def keep_asking():
            while True:
                good.append(await outcome(bench, GOOD, client="good"))
                await asyncio.sleep(0.02)

        async def keep_looking():
            nonlocal peak
            while True:
                peak = max(peak, bench.resident_bytes())
                await asyncio.sleep(0.05)

        beside = [asyncio.ensure_future(each()) for each in (keep_asking, keep_looking)]
        answers = {}
        for bomb in BOMBS:
            data = await asyncio.to_thread(bomb.make)
            answers[bomb.name] = await outcome(bench, data, client="bad", seconds=60)
        for each in beside:
            each.cancel()
        wrong = {name: got for name, got in answers.items() if got not in BY_NAME[name].statuses}
        assert wrong == {}
        assert set(good) == {200}
        assert len(good) > 100
        assert peak < MEMORY_BYTES + OVERHEAD_BYTES
        await until(lambda: bench.pool.budget.held_bytes == 0)


async def test_an_image_that_takes_too_long_is_killed_and_its_worker_replaced():
    async with running_pool(workers=1, timeout_seconds=0.5) as bench:
        started_at = time.monotonic()
        with pytest.raises(ImageTooCostlyError, match=r"more than 0\.5 seconds"):
            await bench.decode(ENDLESS, client="somebody")
        assert time.monotonic() - started_at < 30  # it would take minutes
        (line,) = bench.log
        assert line["event"] == "decode killed"
        assert (line["reason"], line["client"], line["image_bytes"]) == (
            "time", "somebody", len(ENDLESS),
        )  # fmt: skip
        assert line["granted_bytes"] > len(ENDLESS)
        assert bench.kills == ["time"]
        assert await outcome(bench, GOOD) == 200


async def test_good_images_do_not_wait_for_slow_ones():
    async with running_pool(workers=1, timeout_seconds=20) as bench:
        bomb = asyncio.ensure_future(outcome(bench, ENDLESS, client="bad"))
        await until(lambda: bench.pool.running == 1)
        assert [await outcome(bench, GOOD, client="good") for _ in range(5)] == [200] * 5
        assert not bomb.done()
        assert bench.pool.workers == 2
        nice = [psutil.Process(pid).nice() for pid in bench.pool.pids[1:]]
        assert sorted(nice) == [0, 10]
        bomb.cancel()


async def test_slow_images_give_way_when_they_hold_every_worker(monkeypatch):
    async with running_pool(workers=1, timeout_seconds=60) as bench:
        monkeypatch.setattr(judge, "_PRESSURE_FRACTION", 0.01)
        bombs = [asyncio.ensure_future(bench.decode(ENDLESS, client="bad")) for _ in range(2)]
        await until(lambda: bench.pool.running == 2)
        assert await outcome(bench, GOOD, client="good") == 200
        assert bench.kills == ["pressure"]
        done, others = await asyncio.wait(bombs, return_when=asyncio.FIRST_COMPLETED)
        assert [type(bomb.exception()) for bomb in done] == [OverloadedError]
        others.pop().cancel()


async def test_nobody_decodes_what_nobody_waits_for():
    async with running_pool(workers=1, timeout_seconds=60) as bench:
        running = asyncio.ensure_future(bench.decode(ENDLESS))
        await until(lambda: bench.pool.running == 1)
        running.cancel()
        await until(lambda: bench.kills == ["abandoned"])
        await until(lambda: bench.pool.running == 0)
        assert bench.pool.budget.held_bytes == 0


async def test_who_gives_up_leaves_the_queue_at_once():
    async with running_pool(workers=1, timeout_seconds=60) as bench:
        running = asyncio.ensure_future(bench.decode(ENDLESS))
        await until(lambda: bench.pool.running == 1)
        waiting = asyncio.ensure_future(bench.decode(GOOD))
        await asyncio.sleep(0)
        assert bench.pool.waiting == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        assert bench.pool.waiting == 0
        running.cancel()


async def test_a_job_whose_deadline_has_passed_is_not_begun():
    async with running_pool(workers=1, timeout_seconds=60) as bench:
        with pytest.raises(DeadlineExceededError):
            await bench.decode(GOOD, seconds=-1)
        assert await outcome(bench, GOOD) == 200  # there is a worker
        with pytest.raises(DeadlineExceededError):
            await bench.decode(ENDLESS, seconds=0.4)
        assert bench.kills == ["deadline"]


async def test_a_batch_of_one_client_does_not_make_another_wait_for_all_of_it():
    large = png.flat(3000, 3000, png.RGB)
    async with running_pool(workers=1) as bench:
        done = []

        async def decode(client):
            await bench.decode(large if client == "batch" else GOOD, client=client)
            done.append(client)

        jobs = [decode("batch") for _ in range(12)] + [decode("one")]
        await asyncio.gather(*jobs)
        assert done.index("one") <= 3


async def test_large_images_wait_for_memory_and_small_ones_pass_them():
    async with running_pool(workers=4, memory_bytes=460_000_000) as bench:
        large = png.flat(8000, 8000, png.RGB)  # 262 MB each: one at a time
        held = []

        async def decode_large():
            await bench.decode(large, client="large")
            held.append(bench.pool.budget.held_bytes)

        jobs = asyncio.gather(*(decode_large() for _ in range(3)))
        await until(lambda: bench.pool.budget.held_bytes > 200_000_000)
        assert await outcome(bench, GOOD, client="small") == 200
        assert not jobs.done()
        await jobs
        assert max(held) < 460_000_000
        assert bench.kills == []


async def test_more_memory_than_one_image_may_take_is_refused_with_the_figures():
    async with running_pool(workers=1) as bench:
        with pytest.raises(
            ImageTooLargeError, match=r"takes 1,0\d\d,\d{3},\d{3} bytes.*400,000,000"
        ):
            await bench.decode(BY_NAME["webp-38-bytes"].make())


async def test_a_worker_that_runs_out_of_memory_says_so_and_is_replaced():
    async with running_pool(workers=1) as bench:
        with pytest.raises(ImageTooLargeError):
            await bench.decode(BY_NAME["jpeg-5m-comments"].make())
        assert await outcome(bench, GOOD) == 200
        assert bench.kills == []


async def test_warnings_of_the_library_come_with_the_answer():
    async with running_pool(workers=1) as bench:
        decoded = await bench.decode(BY_NAME["jpeg-exif-bomb"].make())
        assert "Tag data larger than file" in decoded.warnings[0]
        assert len(decoded.warnings) <= 5
        assert (await bench.decode(GOOD)).warnings == ()


async def test_a_worker_that_somebody_kills_is_an_answer_and_not_the_end():
    async with running_pool(workers=1, timeout_seconds=30) as bench:
        job = asyncio.ensure_future(bench.decode(ENDLESS))
        await until(lambda: bench.pool.running == 1 and len(bench.pool.pids) > 1)
        os.kill(bench.pool.pids[1], signal.SIGSEGV)
        with pytest.raises(ImageTooCostlyError, match="ended its worker"):
            await job
        assert (bench.kills, bench.log[0]["exit_code"]) == (["crash"], -signal.SIGSEGV)
        job = asyncio.ensure_future(bench.decode(ENDLESS))
        await until(lambda: bench.pool.running == 1 and len(bench.pool.pids) > 1)
        os.kill(bench.pool.pids[1], signal.SIGKILL)  # as the system does when memory runs out
        with pytest.raises(ImageTooLargeError, match="more memory than there is"):
            await job
        assert await outcome(bench, GOOD) == 200


async def test_a_worker_that_talks_nonsense_is_ended_and_costs_its_own_image_only():
    async with running_pool(workers=1, timeout_seconds=60) as bench:
        taken_over = asyncio.ensure_future(bench.decode(ENDLESS))
        await until(lambda: bench.pool.running == 1 and len(bench.pool.pids) > 1)
        (member,) = bench.pool._workforce.members.values()
        os.kill(bench.pool.pids[1], signal.SIGSTOP)  # its own report is not to come between
        bench.pool._reported(member.link, None)
        with pytest.raises(ImageTooCostlyError, match="ended its worker"):
            await taken_over
        assert bench.kills == ["crash"]
        assert await outcome(bench, GOOD) == 200


async def test_no_worker_can_say_that_images_take_for_ever():
    async with running_pool(workers=1) as bench:
        running = asyncio.ensure_future(bench.decode(ENDLESS))
        await until(lambda: bench.pool.running == 1)
        (member,) = bench.pool._workforce.members.values()
        bench.pool._reported(member.link, Result(Decoded(b"", "PNG", 1, 1, 1e300), 0.0))
        assert (await running).seconds == 1e300
        assert bench.pool.average_seconds < 60


async def test_idle_workers_that_die_are_replaced():
    async with running_pool(workers=2) as bench:
        assert await outcome(bench, GOOD) == 200
        await until(lambda: len(bench.pool.pids) == 3)
        before = bench.pool.pids[1:]
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: len(bench.pool.pids) == 3 and not set(before) & set(bench.pool.pids))
        assert await outcome(bench, GOOD) == 200


async def test_a_worker_that_has_not_started_yet_is_not_slow():
    async with running_pool(workers=1) as bench:
        await until(lambda: len(bench.pool.pids) == 2)
        os.kill(bench.pool.pids[0], signal.SIGSTOP)  # the zygote, as a machine that stalls does
        assert await outcome(bench, LARGE) == 200  # its worker ends: the next one cannot start
        waiting = asyncio.ensure_future(outcome(bench, GOOD))
        await asyncio.sleep(2 * SLOW_SECONDS)
        assert (bench.pool.running, bench.pool.workers) == (1, 1)
        os.kill(bench.pool.pids[0], signal.SIGCONT)
        assert await waiting == 200


async def test_good_images_survive_the_end_of_the_zygote():
    large = png.flat(8000, 8000, png.RGB)
    async with running_pool(workers=1) as bench:
        job = asyncio.ensure_future(outcome(bench, large))
        await until(lambda: bench.pool.running == 1)
        zygote = bench.pool.pids[0]
        os.kill(zygote, signal.SIGKILL)
        assert await job == 200
        assert bench.pool.pids[0] != zygote
        assert bench.log[0]["event"] == "decode workers lost"
        assert bench.pool.budget.held_bytes == 0


async def test_a_pool_that_cannot_work_says_for_how_long():
    async with running_pool(workers=1) as bench:
        assert await outcome(bench, GOOD) == 200
        zygote = psutil.Process(bench.pool.pids[0])
        zygote.suspend()
        for worker in zygote.children():
            worker.suspend()
        first, second = (asyncio.ensure_future(bench.decode(GOOD)) for _ in range(2))
        assert bench.pool.stalled_seconds < 0.5
        await until(lambda: bench.pool.stalled_seconds > 0.5)
        for each in (*zygote.children(), zygote):
            each.resume()
        assert [(await job).format for job in (first, second)] == ["JPEG", "JPEG"]
        assert bench.pool.stalled_seconds == 0.0


async def test_closing_ends_every_process_and_tells_whoever_waits():
    async with running_pool(workers=1) as bench:
        jobs = [asyncio.ensure_future(bench.decode(ENDLESS)) for _ in range(3)]
        await until(lambda: bench.pool.running and len(bench.pool.pids) > 1)
        processes = [psutil.Process(pid) for pid in bench.pool.pids]
        bench.pool.close()
        for job in jobs:
            with pytest.raises(OverloadedError, match="shutting down"):
                await job
        await until(lambda: not any(_runs(process) for process in processes))


def test_no_process_outlives_a_gateway_that_is_killed():
    program = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from tests.support.decode_pool import running_pool
from tests.support.bombs import BY_NAME

async def main():
    async with running_pool(workers=2, timeout_seconds=300) as bench:
        asyncio.ensure_future(bench.decode(BY_NAME["jpeg-20mb-of-padding"].make()))
        while bench.pool.running < 1 or len(bench.pool.pids) < 3:
            await asyncio.sleep(0.01)
        print(*bench.pool.pids, flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""
    gateway = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert gateway.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in gateway.stdout.readline().split()]
        assert len(processes) >= 3
    finally:
        gateway.kill()
        gateway.wait()
        if gateway.stdout is not None:
            gateway.stdout.close()
    wait_until(lambda: not any(_runs(each) for each in processes), "they end", seconds=30)


async def test_workers_are_confined():
    async with running_pool(workers=1) as bench:
        assert await outcome(bench, GOOD) == 200
        worker = psutil.Process(bench.pool.pids[1])
        assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert worker.rlimit(psutil.RLIMIT_NPROC) == (0, 0)
        assert worker.rlimit(psutil.RLIMIT_AS)[0] < worker.memory_info().vms + 40_000_000
        assert 0 < worker.rlimit(psutil.RLIMIT_CPU)[0] < 10
        with open(f"/proc/{worker.pid}/oom_score_adj", encoding="ascii") as score:  # noqa: ASYNC230, PTH123 - a file of the system's
            assert score.read().strip() == "1000"


async def test_every_format_decodes_in_a_worker_as_it_does_here():
    pixels = np.random.default_rng(4).integers(0, 255, (90, 120, 3), np.uint8)
    async with running_pool(workers=1) as bench:
        for file_format in DEFAULT_FORMATS:
            data = encoded(pixels, file_format)
            decoded = await bench.decode(data)
            assert decoded.row == decode(data, PLAN.rendering).tobytes(), file_format
            assert (decoded.format, decoded.width, decoded.height) == (file_format, 120, 90)


async def test_bad_bytes_are_told_apart():
    async with running_pool(workers=1) as bench:
        for data, kind in [
            (b"", InvalidImageError),
            (b"hello", InvalidImageError),
            (GOOD[:2000], InvalidImageError),
            (png.announced(9000, 9000, png.RGB), ImageTooLargeError),
        ]:
            with pytest.raises(kind):
                await bench.decode(data)


def _runs(process):
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
