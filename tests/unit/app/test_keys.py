"""API keys: the file, what is wrong in it, and whose key one is."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.keys import MAX_FILE_BYTES, KeysError, KeysFile, new_key, parse_keys
from tests.support.processes import ROOT, python_module


def line(name, key):
    return f"{name}:{sha256(key).hexdigest()}"


def test_each_key_has_its_owner_and_a_name_may_have_several():
    ring = parse_keys(
        "# ours\n\n"
        f"  {line('a', b'one')}  # the phone\n"
        f"{line('b', b'two').upper().replace('B:', 'b:', 1)}\r\n"
        f"{line('a', b'three')}\n"
    )
    assert len(ring) == 3
    assert [ring.owner(key) for key in (b"one", b"two", b"three")] == ["a", "b", "a"]
    assert [ring.owner(key) for key in (b"", b"One", b"one ", b"\xff" * 8192)] == [None] * 4


def test_a_new_key_opens_what_its_line_lets_in():
    made, other = new_key("mobile-app"), new_key("mobile-app")
    assert parse_keys(made.line).owner(made.key.encode()) == "mobile-app"
    assert parse_keys(made.line).owner(other.key.encode()) is None
    assert made.key not in made.line
    assert len(made.key) >= 43


@pytest.mark.parametrize("name", ["", "1a", "10.0.0.1", "a:b", "a b", "ä", "a" * 65, "::1", "a\n"])
def test_no_name_is_an_address_or_breaks_a_line(name):
    with pytest.raises(KeysError, match="a name is"):
        new_key(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no key"),
        ("# only words\n", "holds no key"),
        ("a\n", "^line 1: write name:sha256"),
        (f"{line('a', b'x')}\na:abc\n", "^line 2: write name:sha256"),
        ("a:" + "g" * 64, "^line 1: write"),
        (f"\n\n9:{'0' * 64}", "^line 3: a name is"),
        (f"a:{'0' * 64}\nb:{'0' * 64}", "^line 2: the same key belongs to another"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_not_repeated(text, message):
    with pytest.raises(KeysError, match=message):
        parse_keys(text)


def test_a_key_that_stands_in_the_file_by_mistake_is_not_repeated():
    secret = new_key("a").key
    for text in (secret, f"a:{secret}", f"{secret}-{'x' * 40}:{'0' * 64}"):
        with pytest.raises(KeysError) as caught:
            parse_keys(text)
        assert secret not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_keys_or_one_line_of_error(text):
    try:
        said = ""
        parse_keys(text)
    except KeysError as error:
        said = str(error)
    assert "\n" not in said


@given(st.binary(max_size=100))
def test_no_guess_is_let_in(guess):
    ring = parse_keys(line("a", b"right"))
    assert ring.owner(guess) == ("a" if guess == b"right" else None)


def test_a_wrong_guess_takes_as_long_as_a_right_one_and_among_many_keys_as_among_few():
    """Loose on purpose: it is to find an early exit or a walk through all keys, not noise."""
    few, many = (
        parse_keys("\n".join(line(f"k{n}", b"%d" % n) for n in range(size))) for size in (2, 20_000)
    )

    def micros(ring, key):
        times = []
        for _ in range(300):
            start = time.perf_counter()
            ring.owner(key)
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    right = micros(few, b"1")
    assert micros(few, b"no") < 5 * right
    assert micros(many, b"1") < 10 * right


class TestKeysFile:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "keys"
        path.write_text(line("a", b"one"))
        return path

    def test_it_is_read_again_only_when_it_changed(self, path):
        file = KeysFile(path)
        ring = file.ring
        assert not file.refresh()
        assert file.ring is ring
        path.write_text(line("a", b"one") + "\n" + line("b", b"two"))
        assert file.refresh()
        assert not file.refresh()
        assert file.ring.owner(b"two") == "b"

    def test_a_bad_change_keeps_the_keys_and_is_told_once(self, path):
        file = KeysFile(path)
        path.write_text("nonsense")
        with pytest.raises(KeysError, match=f"^{path}: line 1: "):
            file.refresh()
        assert (file.refresh(), file.is_stale, file.ring.owner(b"one")) == (False, True, "a")
        path.unlink()
        with pytest.raises(KeysError, match="No such file"):
            file.refresh()
        assert (file.refresh(), file.is_stale) == (False, True)
        path.write_text(line("b", b"two"))
        assert (file.refresh(), file.is_stale) == (True, False)
        assert (file.ring.owner(b"one"), file.ring.owner(b"two")) == (None, "b")

    def test_a_kubernetes_secret_changes_by_its_link(self, tmp_path):
        for version, key in (("..1", b"one"), ("..2", b"two")):
            (tmp_path / version).mkdir()
            (tmp_path / version / "keys").write_text(line("a", key))
            os.utime(tmp_path / version / "keys", (1, 1))
        (tmp_path / "..data").symlink_to("..1")
        (tmp_path / "keys").symlink_to("..data/keys")
        file = KeysFile(tmp_path / "keys")
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert file.refresh()
        assert file.ring.owner(b"two") == "a"

    def test_what_cannot_be_a_file_of_keys_is_refused_at_the_start(self, tmp_path):
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        (tmp_path / "large").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
        for name, message in (
            ("missing", "No such file"),
            ("binary", "not UTF-8"),
            ("large", "no file of keys"),
            (".", "Is a directory"),
        ):
            with pytest.raises(KeysError, match=message):
                KeysFile(tmp_path / name)


class TestCommand:
    def run(self, *arguments):
        return subprocess.run(
            python_module("app.access.new_key", *arguments),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_the_line_goes_to_the_file_and_the_key_to_the_person(self):
        done = self.run("mobile-app")
        assert done.returncode == 0
        key = done.stderr.strip().removeprefix("key: ")
        assert parse_keys(done.stdout).owner(key.encode()) == "mobile-app"
        assert key not in done.stdout

    def test_a_bad_name_is_one_line_and_exit_2(self):
        done = self.run("10.0.0.1")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith("error: '10.0.0.1': a name is a letter")

    def test_help_says_what_to_do(self):
        assert "GATEWAY_API_KEYS_FILE" in self.run("--help").stdout
