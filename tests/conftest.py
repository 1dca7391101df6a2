"""Options that turn skips into failures, where a missing tool would hide a missing check."""

import os
import shutil
import signal
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

REQUIREMENTS = {
    "browser": ("chromium", "chromium-browser", "google-chrome"),
    "promtool": ("promtool",),
    "nginx": ("nginx", "/usr/sbin/nginx"),
}

# An example that takes long, or is long in the making, says that the machine is busy.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")

# TensorFlow leaves oneDNN off where there is no AVX-512, and then other kernels answer, with other
# last digits and other names in error texts. Before it is imported, here and in what is started.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The second engine's proof is a third of a small export; tests that are about it ask for it.
os.environ.setdefault("EXPORTER_OPENVINO", "never")

# Tests that share an expensive fixture (a trained model, a server over the fixture models) stay in
# one worker; elsewhere a file does. Neither pytest-xdist's files nor its groups say this: groups
# rename tests after pytest 9 has hashed their names, and are then ignored.
ONE_WORKER = ("tests/contract", "tests/e2e/digits")


class _FilesAndFolders(LoadScopeScheduling):
    """Whole folders where fixtures are shared, else whole files, in the order of collection."""

    def _split_scope(self, nodeid):
        file = PurePosixPath(nodeid.split("::", 1)[0])
        return str(file.parent) if str(file.parent) in ONE_WORKER else str(file)


def pytest_configure():
    """Let Ctrl-C reach the programs under test: what is started with `&` in a script ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_make_scheduler(config, log):
    return _FilesAndFolders(config, log)


def pytest_addoption(parser):
    group = parser.getgroup("sightserve")
    for name, programs in REQUIREMENTS.items():
        group.addoption(
            f"--require-{name}",
            action="store_true",
            help=f"fail, not skip, when none of {', '.join(programs)} is installed",
        )
    group.addoption(
        "--require-torch",
        action="store_true",
        help="fail, not skip, when there is no environment with PyTorch (make torch)",
    )
    group.addoption(
        "--require-docker",
        action="store_true",
        help="fail, not skip, when no Docker engine answers (tests/docker)",
    )


@pytest.fixture(scope="session")
def anyio_backend():
    """Tests marked anyio run on asyncio, which is what the gateway runs on."""
    return "asyncio"


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
def torch_python(request):
    """An interpreter with PyTorch: EXPORTER_TORCH_PYTHON, or what `make torch` has made."""
    made = Path(__file__).parents[1] / ".venv-torch" / "bin" / "python"
    path = os.environ.get("EXPORTER_TORCH_PYTHON") or str(made)
    if Path(path).exists():
        return path
    message = f"no PyTorch here ({path}): make torch"
    if request.config.getoption("--require-torch"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium(request):
    return program(request, "browser")


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - starts a driver process

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def promtool(request):
    return program(request, "promtool")


@pytest.fixture(scope="session")
def nginx_program(request):
    return program(request, "nginx")
