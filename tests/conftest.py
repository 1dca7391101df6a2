"""Options that turn skips into failures, where a missing tool would hide a missing check."""

import shutil

import pytest

REQUIREMENTS = {
    "browser": ("chromium", "chromium-browser", "google-chrome"),
    "promtool": ("promtool",),
}


def pytest_addoption(parser):
    group = parser.getgroup("sightserve")
    for name, programs in REQUIREMENTS.items():
        group.addoption(
            f"--require-{name}",
            action="store_true",
            help=f"fail, not skip, when none of {', '.join(programs)} is installed",
        )
    group.addoption(
        "--require-docker",
        action="store_true",
        help="fail, not skip, when no Docker engine answers (tests/docker)",
    )


def program(request, name):
    """The path of an outside program, or a skip (a failure with --require-NAME)."""
    for each in REQUIREMENTS[name]:
        if path := shutil.which(each):
            return path
    message = f"no {name} here (looked for {', '.join(REQUIREMENTS[name])})"
    if request.config.getoption(f"--require-{name}"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium(request):
    return program(request, "browser")


@pytest.fixture(scope="session")
def promtool(request):
    return program(request, "promtool")
