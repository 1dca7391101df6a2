"""Inside the gateway's container: a collector, a gateway, one request; says which spans arrived."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus

from tests.support.collector import running_collector

_SECONDS = 60.0
_URL = "http://127.0.0.1:8000"


def main() -> None:
    """Start, ask, stop, print."""
    with running_collector() as collector:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        gateway = subprocess.Popen([sys.executable, "-m", "app"], env=os.environ | settings)
        try:
            _wait(f"{_URL}/livez")
            _ask(f"{_URL}/docs")
        finally:
            gateway.terminate()
            code = gateway.wait(_SECONDS)
        print(f"exit code {code}, spans {[span.name for span in collector.spans]}")  # noqa: T201 - read by the test


def _wait(url: str) -> None:
    give_up_at = time.monotonic() + _SECONDS
    while True:
        try:
            return _ask(url)
        except urllib.error.URLError:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(0.1)


def _ask(url: str) -> None:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - our own address
        assert answer.status == HTTPStatus.OK


if __name__ == "__main__":
    main()
