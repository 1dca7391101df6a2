"""The models file for SavedModels that are not ours."""

from __future__ import annotations

import pytest

from app.models_file import load_model_settings


def write(folder, text):
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_per_model_with_labels_from_a_file(tmp_path):
    (tmp_path / "flowers.txt").write_text("rose\ntulip\n", encoding="utf-8")
    path = write(
        tmp_path,
        """
        [models.flowers]
        labels = "flowers.txt"
        scale = [1, 2, 3]
        image = { height = 10, fit = "pad" }
        [models.other]
        labels = ["a", "b"]
        """,
    )
    models = load_model_settings(path)
    assert models["flowers"].labels == ("rose", "tulip")
    assert models["flowers"].scale == (1.0, 2.0, 3.0)
    assert models["flowers"].image == {"height": 10, "fit": "pad"}
    assert models["other"].labels == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.a]\nlabels = 'gone.txt'", "gone.txt: No such file"),
        ("[models.a]\nsofmax = true", r"models\.a\.sofmax: Extra inputs"),
        ("[models.a]\nscale = 'x'", r"models\.a\.scale"),
        ("[models.a]\nimage = { size = 224 }", r"models\.a\.image: an image has no size"),
        ("[models.a]\nimage = { height = 0 }", r"models\.a\.image: height: .*greater"),
        (
            "[models.a]\nimage = { background = [300, 0, 0] }",
            r"models\.a\.image: background: .*255",
        ),
        (
            "[models.a]\nimage = { filter = 'lanczos', antialias = false }",
            r"models\.a\.image: filter lanczos exists only with antialias",
        ),
        ("[models.a\n", "not TOML"),
        ("models = 3", "models must be a table"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_model_settings(write(tmp_path, text))
    assert "\n" not in str(caught.value)
