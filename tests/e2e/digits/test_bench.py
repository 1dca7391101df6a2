"""`sightserve bench` against the digits, from model to gateway."""

import json
import subprocess
import sys

from tests.support.processes import ROOT


def test_the_digits_under_load(digits, digits_gateway, tmp_path):
    for number, (data, _) in enumerate(digits.held_out[:8]):
        (tmp_path / f"{number}.png").write_bytes(data)
    done = subprocess.run(
        [
            sys.executable, "-m", "sightserve", "bench", digits_gateway.url,
            "--image", str(tmp_path), "--clients", "1,8", "--loads", "30", "--seconds", "0.5",
            "--json",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["images"] == 8
    for each in (*found["closed_loop"], *found["open_loop"]):
        assert each["failures"] == {}
        assert each["n"] > 0
