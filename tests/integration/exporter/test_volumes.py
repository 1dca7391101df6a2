"""Read-only, small and full volumes, and folders of other users: told at once, nothing left."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from exporter.errors import FailedError, UsageError
from exporter.options import ExportOptions
from exporter.settings import Settings
from exporter.store.preflight import require_publishable
from tests.support.processes import ROOT
from tests.support.volumes import NOBODY, FillingReporter, mounted, require_root

# The interpreter may lie where nobody but root may look: it changes the user once all is imported.
PUBLISH = f"""
import os, sys
from pathlib import Path
from exporter.store import publish

os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
with publish.staging(Path(sys.argv[1])) as staged:
    staged.version_path.mkdir()
    print(staged.publish().name)
"""


@pytest.fixture
def open_folder():
    """Where everybody may write; pytest's own folders are closed to other users."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


def publish_as_nobody(model_path):
    require_root()
    command = [sys.executable, "-c", PUBLISH, str(model_path)]
    # Coverage would write a file as this user, beside ours.
    environment = {key: each for key, each in os.environ.items() if not key.startswith("COV")}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_closed_staging_folder_of_another_user_blocks_nobody(open_folder):
    foreign = open_folder / ".staging-0123"
    foreign.mkdir(mode=0o700)
    done = publish_as_nobody(open_folder)
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert foreign.exists()


def test_a_base_path_of_another_user_is_one_line(open_folder):
    open_folder.chmod(0o755)
    done = publish_as_nobody(open_folder / "m")
    assert f"cannot write to {open_folder / 'm'}: Permission denied; run as" in done.stderr


def test_a_read_only_volume_is_seen_first(tmp_path):
    with (
        mounted(tmp_path / "models", "ro") as models,
        pytest.raises(FailedError, match="Read-only file system; mount it writable"),
    ):
        require_publishable(models / "m", None)


def test_a_version_that_cannot_fit_is_seen_first(tmp_path):
    with mounted(tmp_path / "models", "size=20m") as models:
        require_publishable(models / "m", None, source_bytes=10_000_000)
        with pytest.raises(FailedError, match=r"21\.0 MB are free and a version needs some 28 MB"):
            require_publishable(models / "m", None, source_bytes=20_000_000)
        assert list(models.iterdir()) == []


def test_a_volume_without_room_for_a_folder_is_seen_first(tmp_path):
    with (
        mounted(tmp_path / "models", "nr_inodes=1") as models,
        pytest.raises(FailedError, match="No space left on device; free some space"),
    ):
        require_publishable(models / "m", None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file/m", "Not a directory; a file is in the way"), ("n" * 300, "File name too long")],
)
def test_paths_that_cannot_be_are_seen_first(tmp_path, name, reason):
    (tmp_path / "file").touch()
    with pytest.raises(FailedError, match=reason):
        require_publishable(tmp_path / name, None)


def test_a_file_with_the_models_name_is_seen_first(tmp_path):
    (tmp_path / "m").touch()
    with pytest.raises(FailedError, match=r"m: File exists; a file is in the way"):
        require_publishable(tmp_path / "m", None)


@pytest.mark.parametrize("version", [-1, 2**63])
def test_numbers_that_no_model_server_sees_are_refused(tmp_path, version):
    with pytest.raises(UsageError, match=f"--version {version}: model servers see versions from 0"):
        require_publishable(tmp_path / "m", version)


# The volume runs full while TensorFlow writes variables, their index and the graph, while the
# golden images are written, and while the manifest is.
@pytest.mark.parametrize(
    ("step", "left_bytes"),
    [
        ("writing the staged version", 0),
        ("writing the staged version", 8_192),
        ("writing the staged version", 40_960),
        ("writing the staged version", 102_400),
        ("publishing", 0),
    ],
)
def test_a_volume_that_runs_full_leaves_nothing(tiny, tmp_path, step, left_bytes):
    from exporter.export import export  # noqa: PLC0415 - TensorFlow, seconds
    from exporter.sources.keras_file import load_keras  # noqa: PLC0415

    with mounted(tmp_path / "models", "size=8m") as models:
        options = ExportOptions(name="m", base_path=models, parity_bound=1e-4)
        report = FillingReporter(models, step, left_bytes)
        with pytest.raises(FailedError, match="m: No space left on device; free some space"):
            export(lambda _: load_keras(tiny[1]), options, Settings(), report)
        assert [path.name for path in models.iterdir()] == ["filled"]
