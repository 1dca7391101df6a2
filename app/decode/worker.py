"""One worker process: a job in, a row out, over one socket, until the other end closes it.

It trusts the gateway and nobody else. Whatever a file does to it ends with this process: the
gateway kills it at the job's time limit, the system at its limits of memory and CPU.
"""

from __future__ import annotations

import json
import socket
import time
import warnings
from typing import Any, Final

from app.decode.bounds import Bounds
from app.decode.frames import ORDER, REPORT, Order, Report
from app.decode.limits import MemoryLimit, limit_cpu
from app.decode.plan import Plan, read_plan
from contract.decoding import decode_image
from contract.image_errors import ImageError, ImageTooLargeError
from contract.opening import Limits

_SLACK_BYTES: Final = 8_000_000
"""What the interpreter itself may grow by, beside what is granted."""
_OUT_OF_MEMORY: Final = "the image needs more memory than its header says"
_UNEXPECTED: Final = "the image cannot be decoded"
_MOST_WARNINGS: Final = 5
_LONGEST_WARNING: Final = 200


class WithdrawnError(Exception):
    """There is not enough memory for the job now; the gateway will send it again."""


class Worker:
    """Serves one socket."""

    def __init__(self, gateway: socket.socket, bounds: Bounds, memory: MemoryLimit) -> None:
        self._gateway = gateway
        self._bounds = bounds
        self._limits = Limits(max_pixels=bounds.max_pixels)
        self._memory = memory
        self._warnings: list[str] = []
        warnings.simplefilter("always")
        warnings.showwarning = self._note_warning

    def run(self) -> None:
        """Work until the gateway closes the socket, or memory ran out: then a new one is better."""
        while head := self._receive(ORDER.size):
            _, plan_length, data_length, granted = ORDER.unpack(head)
            plan = read_plan(self._receive(plan_length))
            self._memory.allow(granted + _SLACK_BYTES)
            limit_cpu(self._bounds.cpu_seconds)
            if not self._work(plan, self._receive(data_length), granted):
                return

    def _work(self, plan: Plan, data: bytes, granted: int) -> bool:
        """Decode one file and answer; whether this process is as good as new."""
        self._warnings.clear()
        started_at = time.perf_counter()

        def grant(peak_bytes: int) -> None:
            self._ask(peak_bytes + plan.peak_bytes + len(data), granted)

        try:
            image = decode_image(data, plan.rendering, self._limits, grant=grant)
            row = plan.row(image.pixels)
        except WithdrawnError:
            return True
        except ImageError as error:
            is_full = isinstance(error.__cause__, MemoryError)
            is_too_large = isinstance(error, ImageTooLargeError)
            self._refuse(str(error), is_too_large=is_too_large, is_full=is_full)
            return not is_full
        except MemoryError:
            self._refuse(_OUT_OF_MEMORY, is_too_large=True, is_full=True)
            return False
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours costs the file that found it
            self._note_warning(f"unexpected {type(error).__name__}: {error}")
            self._refuse(_UNEXPECTED, is_too_large=False, is_full=False)
            return False
        facts = {
            "format": image.format,
            "width": image.width,
            "height": image.height,
            "seconds": time.perf_counter() - started_at,
            "cpu_seconds_ever": time.process_time(),
        }
        self._answer(Report.RESULT, facts, row)
        return True

    def _ask(self, needed_bytes: int, granted: int) -> None:
        """Wait until the gateway grants what the image needs, if that is more than it has."""
        allowed = self._bounds.max_memory_bytes
        if needed_bytes > allowed:
            raise ImageTooLargeError(
                f"decoding the image takes {needed_bytes:,} bytes of memory, "
                f"more than {allowed:,} bytes"
            )
        if needed_bytes <= granted:
            return
        self._gateway.sendall(REPORT.pack(Report.PRICE, 0, needed_bytes))
        order, *_ = ORDER.unpack(self._receive(ORDER.size))
        if order != Order.GRANT:
            raise WithdrawnError
        self._memory.allow(needed_bytes + _SLACK_BYTES)

    def _refuse(self, detail: str, *, is_too_large: bool, is_full: bool) -> None:
        if is_full:
            self._memory.lift()
        facts = {
            "detail": detail,
            "is_too_large": is_too_large,
            "cpu_seconds_ever": time.process_time(),
        }
        self._answer(Report.REFUSED, facts)

    def _answer(self, report: Report, facts: dict[str, Any], row: bytes = b"") -> None:
        if self._warnings:
            facts["warnings"] = self._warnings[:_MOST_WARNINGS]
        text = json.dumps(facts).encode()
        head = REPORT.pack(report, len(text), len(row)) + text
        sent = self._gateway.sendmsg([head, row])  # in one go: the gateway wakes up once or twice
        if sent < len(head) + len(row):
            self._gateway.sendall((head + row)[sent:])

    def _receive(self, size: int) -> bytes:
        """Exactly so many bytes; fewer only at the end."""
        return self._gateway.recv(size, socket.MSG_WAITALL) if size else b""

    def _note_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        if len(self._warnings) < _MOST_WARNINGS:
            self._warnings.append(str(message)[:_LONGEST_WARNING])
