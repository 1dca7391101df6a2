"""`sightserve classify` as a process, against a real gateway."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest

from tests.support.processes import ROOT, free_ports, wait_until

PYTHON = [sys.executable, "-m", "sightserve", "classify"]
ENVIRONMENT = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.fixture
def classify(gateway):
    def run(*arguments, code=0, text="", url=gateway.url):
        done = subprocess.run(
            [*PYTHON, *map(str, arguments)],
            cwd=ROOT,
            env=ENVIRONMENT | {"SIGHTSERVE_URL": url},
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def best(items):
    return [item["predictions"][0]["class_index"] for item in items]


def test_a_folder_gives_its_images_in_order_and_says_what_it_left_out(classify, folder):
    done = classify(folder, "--format", "jsonl")
    found = lines(done)
    assert [item["file"] for item in found] == [str(folder / "a.png"), str(folder / "b.png")]
    assert best(found) == [0, 1]
    assert "2 images" in done.stderr
    assert "p99" in done.stderr
    assert ".heic are photos that the gateway does not read" in done.stderr
    assert "(1): --recursive" in done.stderr


def test_recursion_patterns_lists_and_standard_input(classify, folder):
    assert best(lines(classify("-r", folder, "-f", "jsonl"))) == [0, 1, 3]
    assert best(lines(classify(folder / "**" / "*.png", "-f", "jsonl"))) == [0, 1, 3]
    listed = f"{folder / 'b.png'}\n\n{folder / 'a.png'}\n"
    assert best(lines(classify("--from-file", "-", "-f", "jsonl", text=listed))) == [1, 0]


def test_an_image_comes_by_the_pipe(gateway, folder):
    done = subprocess.run(
        [*PYTHON, "-", "--url", gateway.url, "--format", "json"],
        cwd=ROOT,
        input=(folder / "b.png").read_bytes(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    (item,) = json.loads(done.stdout)
    assert (item["file"], item["predictions"][0]["class_index"]) == ("-", 1)


def test_one_bad_file_does_not_stop_the_rest(classify, folder):
    names = [folder / "d.heic", folder / "nowhere.png", folder / "a.png"]
    done = classify(*names, "-f", "json", code=1)
    heic, nowhere, good = json.loads(done.stdout)
    assert heic["problem"]["type"] == "/problems/invalid-image"
    assert "Most Compatible" in heic["error"]
    assert nowhere["error"] == "No such file or directory"
    assert best([good]) == [0]
    assert "3 images" in done.stderr
    assert "2 failed" in done.stderr


def test_csv_has_a_header_and_a_row_for_each_class(classify, folder):
    output = folder / "results.csv"
    classify(folder / "a.png", folder / "notes.txt", "-o", output, "--top-k", 2, code=1)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [(row["rank"], row["label"]) for row in rows] == [
        ("1", "label-0"),
        ("2", "label-1"),
        ("", ""),
    ]
    assert "cannot be decoded" in rows[2]["error"]
    assert sorted(each.name for each in folder.iterdir() if "results" in each.name) == [
        "results.csv"
    ]


def test_a_table_fits_80_columns_and_hides_what_moves_the_cursor(classify, folder):
    evil = folder / f"{'long ' * 20}\x1b[2J日本.png"
    evil.write_bytes((folder / "a.png").read_bytes())
    table = classify(evil, folder / "notes.txt", code=1).stdout
    assert "\x1b" not in table
    assert max(map(len, table.splitlines())) <= 80
    assert "label-0" in table


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "nothing to classify"),
        (["nothing-*.png"], 2, "nothing matches"),
        (["docs/adr"], 2, "no image to classify"),
        (["samples", "--url", "localhost:8000"], 2, "http://host:port"),
        (["samples", "--version", 1, "--version-label", "x"], 2, "together"),
        (["-", "--from-file", "-"], 2, "once only"),
        (["samples", "--output", "/nowhere/x.csv"], 2, "--output"),
        (["samples", "--concurrency", 0], 2, "concurrency"),
        (["samples", "--model", "other"], 3, "no such model"),
        (["samples", "--top-k", 99], 3, "top_k"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_code(classify, arguments, code, said):
    done = classify(*arguments, code=code)
    assert said in done.stderr
    assert done.stdout == ""


def test_without_a_gateway_it_says_how_to_start_one(classify):
    (port,) = free_ports(1)
    done = classify("samples", code=3, url=f"http://127.0.0.1:{port}")
    assert "sightserve serve" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_no_file(fake, gateway, folder, number, code):
    output = folder / "results.json"
    command = [*PYTHON, str(folder), "--url", gateway.url, "-o", str(output)]
    before = fake.calls.get("predict", 0)
    with (
        fake.held(),
        subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        wait_until(lambda: fake.calls.get("predict", 0) > before, "images in progress")
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == code
    assert f"interrupted, {output} was not written" in said
    assert not [each for each in folder.iterdir() if "results" in each.name]


def test_a_reader_that_has_seen_enough_is_no_error_to_speak_of(gateway, folder):
    line = f"{' '.join(PYTHON)} {folder} --url {gateway.url} -q -f jsonl | head -c 1 | wc -c"
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("1", "")
