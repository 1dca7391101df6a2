"""Native chatter is held back, and shown when something goes wrong."""

import os

import pytest

from exporter.graph.quiet import quiet_native_stderr


def test_what_native_code_says_is_held_back(capfd):
    with quiet_native_stderr():
        os.write(2, b"I0000 number of eligible GPUs\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def speak_and_fail():
    with quiet_native_stderr():
        os.write(2, b"F0000 check failed\n")
        raise ZeroDivisionError


def test_it_is_shown_when_the_block_fails(capfd):
    with pytest.raises(ZeroDivisionError):
        speak_and_fail()
    assert capfd.readouterr().err == "F0000 check failed\n"
