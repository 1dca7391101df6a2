"""Agreement: by label, over what was told; and a page that nobody's text can take over."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from contract.card import ClassInfo, ModelCard, Source
from contract.image_spec import ImageSpec
from exporter.accuracy.agreement import VersionAnswers, compare
from exporter.accuracy.versions import Subject, parse
from exporter.errors import FailedError, UsageError
from exporter.report import agreement_page
from tests.support.pictures import encoded

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
EVIL = '<script>alert("x")</script>'


def answers(labels, *rows):
    card = ModelCard(
        model_name="m",
        classes=tuple(ClassInfo(index=i, label=label) for i, label in enumerate(labels)),
        k=1,
        image=ImageSpec(height=8, width=8),
        source=Source(kind="keras", name="m.keras"),
        exported_at=AT,
    )
    told = tuple(None if row is None else np.array(row, np.float32) for row in rows)
    return VersionAnswers("m", 1, card, told)


def files(count):
    return [Path(f"{number}.png") for number in range(count)]


def test_classes_are_matched_by_label_and_twins_in_their_order():
    a = answers(["cat", "crane", "crane", "old"], [0.1, 0.2, 0.6, 0.1], [0.7, 0.1, 0.1, 0.1])
    b = answers(["crane", "crane", "cat", "new"], [0.1, 0.5, 0.3, 0.1], [0.8, 0.1, 0.1, 0.0])
    found = compare(a, b, files(2))
    assert (found.n, found.agreeing, found.top_1_agreement) == (2, 1, 0.5)
    assert found.max_abs_difference == pytest.approx(0.7)
    assert found.mean_abs_difference == pytest.approx((0.2 + 0.1 + 0.1 + 0.6 + 0.7 + 0.0) / 6)
    (changed,) = found.changed
    assert (changed.file.name, changed.a.label, changed.b.label) == ("1.png", "cat", "crane")
    assert (found.labels_only_in_a, found.labels_only_in_b) == (("old",), ("new",))


def test_what_a_gateway_does_not_tell_is_left_out():
    nan = float("nan")
    a = answers(["a", "b", "c"], [0.6, 0.3, nan], [nan, nan, 0.9])
    b = answers(["a", "b", "c"], [0.5, 0.3, 0.2], [0.1, nan, 0.8])
    found = compare(a, b, files(2))
    assert found.agreeing == 2
    assert found.max_abs_difference == pytest.approx(0.1)
    assert found.mean_abs_difference == pytest.approx(0.2 / 3)


def test_files_that_one_of_them_cannot_read_are_counted():
    found = compare(
        answers(["a"], None, [1.0], [1.0]), answers(["a"], [1.0], None, [1.0]), files(3)
    )
    assert (found.n, [path.name for path in found.broken]) == (1, ["0.png", "1.png"])
    with pytest.raises(FailedError, match="none of 1 files"):
        compare(answers(["a"], None), answers(["a"], [1.0]), files(1))


def test_versions_without_a_common_label_are_not_compared():
    with pytest.raises(UsageError, match="no label in common"):
        compare(answers(["a"], [1.0]), answers(["b"], [1.0]), files(1))


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_shows_other_peoples_text_and_runs_none_of_it(tmp_path):
    name = f"{EVIL.replace('/', '')}'\".png"
    (tmp_path / name).write_bytes(encoded(np.zeros((40, 90, 3), np.uint8), "PNG"))
    a, b = answers([EVIL, "b"], [0.9, 0.1]), answers([EVIL, "b"], [0.2, 0.8])
    found = compare(a, b, [tmp_path / name])
    text = agreement_page.page(a, b, found, tmp_path, AT)
    tags = Tags()
    tags.feed(text)
    assert "script" not in {tag for tag, _ in tags.found}
    (policy,) = [each["content"] for tag, each in tags.found if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    (image,) = [each for tag, each in tags.found if tag == "img"]
    assert (
        base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))[:3]
        == b"\xff\xd8\xff"
    )
    assert not {"style", "onerror", "onload"} & {key for _, each in tags.found for key in each}


def test_only_so_many_pictures_are_shown_and_the_rest_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(agreement_page, "MAX_PICTURES", 2)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        path.write_bytes(encoded(np.zeros((4, 4, 3), np.uint8), "PNG"))
    a, b = answers(["a", "b"], *[[1, 0]] * 5), answers(["a", "b"], *[[0, 1]] * 5)
    text = agreement_page.page(a, b, compare(a, b, paths), tmp_path, AT)
    assert (text.count("<img"), "And 3 more." in text) == (2, True)
    same = agreement_page.page(a, a, compare(a, a, paths), tmp_path, AT)
    assert "<p>None." in same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits:3", (None, "digits", 3, None)),
        ("digits", (None, "digits", None, None)),
        ("grpc://host:8500/digits:canary", ("grpc://host:8500", "digits", None, "canary")),
        ("http://[::1]:8000/digits:3", ("http://[::1]:8000", "digits", 3, None)),
        ("http://host:8000", ("http://host:8000", None, None, None)),
        ("http://host:8000/", ("http://host:8000", None, None, None)),
    ],
)
def test_subjects_are_read_as_written(text, expected):
    assert parse(text) == Subject(text, *expected)


@pytest.mark.parametrize("text", ["", "/", "a/b", "digits:", "http://host/a/b"])
def test_what_names_nothing_is_refused(text):
    with pytest.raises(UsageError, match="write NAME:VERSION"):
        parse(text)
