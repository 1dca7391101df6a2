"""What a torch.export archive may hold."""

import json
import zipfile

import pytest

from exporter.errors import UsageError
from exporter.sources.torch_archive import inspect_archive


def archive(path, **files):
    """Write an archive as PyTorch lays it out."""
    content = {"m/archive_format": "pt2", "m/models/model.json": "{}"} | files
    with zipfile.ZipFile(path, "w") as file:
        for name, data in content.items():
            file.writestr(name, data)
    return path


def graph_with(expression):
    return json.dumps({"graph": [{"sizes": [{"as_expr": {"expr_str": expression}}]}]})


@pytest.mark.parametrize(
    "expression",
    ["s0", "Symbol('s85', positive=True, integer=True)", "Mod(s0 + 3*s1, 2)", "Max(1, s0)//2"],
)
def test_sizes_are_let_through(tmp_path, expression):
    inspect_archive(archive(tmp_path / "m.pt2", **{"m/models/model.json": graph_with(expression)}))


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('id')",
        "exec('x')",
        "open ('x')",
        "Symbol('x').__class__",
        "s0.free_symbols",
        "getattr(s0, 'x')",
        "[x for x in s0]",
    ],
)
def test_code_in_place_of_a_size_is_refused(tmp_path, expression):
    file = archive(tmp_path / "m.pt2", **{"m/models/model.json": graph_with(expression)})
    with pytest.raises(UsageError, match="holds code where a size belongs"):
        inspect_archive(file)


def test_custom_objects_are_refused(tmp_path):
    file = archive(tmp_path / "m.pt2", **{"m/data/constants/custom_obj_0": b"cos\nsystem\n"})
    with pytest.raises(UsageError, match="an object that is code"):
        inspect_archive(file)


def test_damaged_json_is_said(tmp_path):
    file = archive(tmp_path / "m.pt2", **{"m/models/model.json": "{"})
    with pytest.raises(UsageError, match=r"model\.json is damaged"):
        inspect_archive(file)


def test_other_files_are_told_from_archives(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        inspect_archive(tmp_path / "m.pt2")
    (tmp_path / "m.pt2").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(UsageError, match=r"no torch\.export archive .*torch\.export\.save"):
        inspect_archive(tmp_path / "m.pt2")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as file:
        file.writestr("script/code/model.py", "")
    with pytest.raises(UsageError, match=r"no torch\.export archive"):
        inspect_archive(tmp_path / "script.pt")
