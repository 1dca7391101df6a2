"""What a model file claims is held against what it holds, before a library believes it."""

import io
import json
import resource
import zipfile

import h5py
import numpy as np
import pytest

from exporter.errors import RefusedError
from exporter.sources import untrusted
from exporter.sources.memory_limit import bounded_memory, is_out_of_memory
from exporter.sources.untrusted import require_harmless

GIGABYTE = 1_000_000_000


def hdf5(fill):
    """The bytes of an HDF5 file with a kernel of 4,000 bytes and what `fill` adds."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("layers/dense/vars")["0"] = np.ones(1000, np.float32)
        fill(file)
    return buffer.getvalue()


def keras(path, weights, compression=zipfile.ZIP_STORED, **more):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", json.dumps({}))
        archive.writestr("model.weights.h5", weights)
        for name, content in more.items():
            archive.writestr(name, content)
    return path


def claim(values, **settings):
    """A dataset of which nothing is stored."""
    settings = {"chunks": (1 << 20,), "compression": "gzip"} | settings
    return lambda file: file.create_dataset("bomb", (values,), "f4", **settings)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_honest_file_passes_with_its_size(tmp_path, compression):
    weights = hdf5(lambda _: None)
    (tmp_path / "m.h5").write_bytes(weights)
    assert require_harmless(tmp_path / "m.h5") == 4000
    file = keras(tmp_path / "m.keras", weights, compression)
    assert 4000 <= require_harmless(file) <= file.stat().st_size + len(weights)


def test_weights_that_are_all_zero_pass_although_they_compress(tmp_path):
    file = keras(tmp_path / "m.keras", hdf5(claim(10_000_000)), zipfile.ZIP_DEFLATED)
    assert require_harmless(file) >= 40_000_000


@pytest.mark.parametrize(
    "settings",
    [{}, {"compression": None}, {"chunks": None, "compression": None}],
    ids=["compressed", "chunked", "allocated late"],
)
def test_datasets_that_claim_far_more_than_they_store_are_refused(tmp_path, settings):
    weights = hdf5(claim(250_000_000, **settings))
    (tmp_path / "m.h5").write_bytes(weights)
    for file in (tmp_path / "m.h5", keras(tmp_path / "m.keras", weights)):
        with pytest.raises(RefusedError, match=r"claims 1\.0 GB: a bomb"):
            require_harmless(file)


def test_many_small_claims_are_summed(tmp_path):
    def fill(file):
        for number in range(100):
            file.create_dataset(f"part/{number}", (1_000_000,), "f4", chunks=(1 << 19,))

    (tmp_path / "m.h5").write_bytes(hdf5(fill))
    with pytest.raises(RefusedError, match=r"claims 0\.4 GB: a bomb"):
        require_harmless(tmp_path / "m.h5")


@pytest.mark.parametrize("name", ["config.json", "assets/vocabulary.txt"])
def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path, name):
    file = tmp_path / "m.keras"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b" " * 80_000_000)
    with pytest.raises(RefusedError, match="a bomb"):
        require_harmless(file)


def test_an_array_archive_inside_is_looked_into(tmp_path):
    arrays = io.BytesIO()
    with zipfile.ZipFile(arrays, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", bytes(80_000_000))
    file = keras(tmp_path / "m.keras", b"", **{"model.weights.npz": arrays.getvalue()})
    with pytest.raises(RefusedError, match="a bomb"):
        require_harmless(file)


def test_a_file_above_the_limit_is_refused_with_the_setting(tmp_path):
    (tmp_path / "m.h5").write_bytes(hdf5(lambda file: file.create_dataset("x", data=np.ones(5000))))
    assert require_harmless(tmp_path / "m.h5", 44_000) == 44_000
    with pytest.raises(RefusedError, match="set EXPORTER_MAX_SOURCE_GB") as refused:
        require_harmless(tmp_path / "m.h5", 43_999)
    assert refused.value.step == "source"


def test_too_many_parts_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "_MAX_PARTS", 10)
    (tmp_path / "m.h5").write_bytes(
        hdf5(lambda file: [file.create_group(f"g{number}") for number in range(20)])
    )
    with pytest.raises(RefusedError, match="more than 10 parts"):
        require_harmless(tmp_path / "m.h5")


def external_link(file):
    file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")


def external_storage(file):
    file.create_dataset("x", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def virtual_dataset(file):
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (10,))  # noqa: S108 - never opened
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("fill", [external_link, external_storage, virtual_dataset])
def test_what_would_read_other_files_is_refused(tmp_path, fill):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        fill(file)
    with pytest.raises(RefusedError, match="another file"):
        require_harmless(tmp_path / "m.h5")


def test_groups_in_a_circle_end(tmp_path):
    def fill(file):
        file["layers/again"] = file["layers"]
        file["soft"] = h5py.SoftLink("/layers")

    (tmp_path / "m.h5").write_bytes(hdf5(fill))
    assert require_harmless(tmp_path / "m.h5") == 4000


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", hdf5(lambda _: None)[:700]])
def test_what_is_damaged_is_left_to_keras(tmp_path, content):
    (tmp_path / "m.keras").write_bytes(content)
    assert require_harmless(tmp_path / "m.keras") == len(content)


def test_memory_is_bounded_within_and_not_after():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with bounded_memory(1_000_000), pytest.raises(MemoryError) as failed:
        np.empty(3 * GIGABYTE, np.uint8)
    assert is_out_of_memory(failed.value)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert np.empty(3 * GIGABYTE, np.uint8).nbytes  # pages that nobody touches cost nothing


def test_the_bound_grows_with_the_weights():
    with bounded_memory(GIGABYTE):
        assert np.empty(3 * GIGABYTE, np.uint8).nbytes


def fail_below_another_error():
    try:
        np.empty(10**18, np.uint8)
    except MemoryError as error:
        raise ValueError("cannot load") from error


def test_a_failed_allocation_is_found_below_other_errors():
    with pytest.raises(ValueError, match="cannot load") as failed:
        fail_below_another_error()
    assert is_out_of_memory(failed.value)
    assert is_out_of_memory(RuntimeError("OOM when allocating tensor with shape[60000,60000]"))
    assert not is_out_of_memory(ValueError("a layer named bloom"))
