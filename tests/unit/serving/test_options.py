from __future__ import annotations

import dataclasses

import pytest

from serving import options
from serving.core.errors import ServingError
from serving.options import Options


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {}),
        (["--port=9000"], {"port": 9000}),
        (["--port", "9000"], {"port": 9000}),
        (["--enable_batching"], {"enable_batching": True}),
        (["--enable_batching=false"], {"enable_batching": False}),
        (["--enable_batching=TRUE", "--port=1"], {"enable_batching": True, "port": 1}),
        (["--enable_model_warmup=0"], {"enable_model_warmup": False}),
        (
            ["--model_name", "m", "--model_base_path=/a=b"],
            {"model_name": "m", "model_base_path": "/a=b"},
        ),
        (["--file_system_poll_wait_seconds=-1"], {"file_system_poll_wait_seconds": -1}),
        (["--drain_timeout_seconds=0.5"], {"drain_timeout_seconds": 0.5}),
        (["--mixed_precision=bfloat16"], {"mixed_precision": "bfloat16"}),
    ],
)
def test_flags(arguments, expected):
    assert options.parse(arguments).options == dataclasses.replace(Options(), **expected)


@pytest.mark.parametrize(
    "argument",
    [
        *("--port=abc", "--port=", "--port=-1", "--port=1.5", "--enable_batching=maybe"),
        *("--mixed_precision=float8", "--max_num_load_retries=-1", "--drain_timeout_seconds=x"),
    ],
)
def test_a_value_that_does_not_parse_names_its_flag(argument):
    name, _, value = argument.removeprefix("--").partition("=")
    with pytest.raises(ServingError) as caught:
        options.parse([argument])
    assert caught.value.message == f"Couldn't interpret value {value} for flag {name}."


def test_a_flag_without_its_value_is_refused():
    with pytest.raises(ServingError, match="--port needs a value"):
        options.parse(["--port"])


def test_flags_without_effect_are_reported_not_refused():
    line = options.parse(
        [
            "--per_process_gpu_memory_fraction=0.5",
            "--enable_profiler",
            "--nonsense=1",
            "stray",
            "--prefer_tflite_model=true",
            "--port=7",
        ]
    )
    assert line.unsupported == (
        "per_process_gpu_memory_fraction",
        "enable_profiler",
        "prefer_tflite_model",
    )
    assert line.unknown == ("--nonsense=1", "stray")
    assert line.options.port == 7


def test_help_explains_every_flag():
    text = options.help_text()
    assert options.parse(["--help"]).is_help
    for field in dataclasses.fields(Options):
        assert f"--{field.name} [" in text
    assert max(map(len, text.partition("accepted without effect")[0].splitlines())) <= 100
