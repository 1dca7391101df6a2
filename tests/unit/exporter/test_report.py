"""Pages about evaluations: whatever labels and file names say, they stay text."""

import csv
import json
import re
from html.parser import HTMLParser

import pytest

from exporter.accuracy.evaluation import evaluate, read_set
from exporter.progress import SilentReporter
from exporter.report import charts
from exporter.report.content import ClassContent, ConfusionContent
from exporter.report.elements import element, to_html
from exporter.report.files import write_evaluation
from exporter.report.page import page, section
from exporter.report.pictures import thumbnail
from tests.support.coloured import classifier, png, write_folders

HOSTILE = '<script>alert("1")</script>\'&amp;'


class Outline(HTMLParser):
    """Elements with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def outline(tmp_path):
    folder = write_folders(tmp_path / "colours", each=8)
    (folder / "red" / "<img src=x onerror=y>.png").write_bytes(png("blue"))
    (folder / "green").rename(folder / "hostile")
    labels = {"red": "red", "hostile": HOSTILE, "blue": "blue"}
    rows = [
        (str(path.relative_to(folder)), label)
        for name, label in labels.items()
        for path in sorted((folder / name).iterdir())
    ]
    rows += [("red/broken<b>.png", "red"), ("red/1.png", "<i>other</i>")]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    answerer = classifier(("red", HOSTILE, "blue"), wrong_every=5)
    found = evaluate(answerer, read_set(folder / "labels.csv"), SilentReporter())
    content = write_evaluation(tmp_path / "page.html", found)
    return content, Outline((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_labels_and_file_names_stay_text(outline):
    _, page_ = outline
    assert {tag for tag, _ in page_.elements} & {"script", "i", "b"} <= {
        "b"
    }  # ours: the true label
    assert len(page_.all("img")) == len(page_.all("figure"))
    assert HOSTILE in page_.text
    assert "<img src=x onerror=y>.png" in page_.text
    assert "red/broken<b>.png" in page_.text
    assert "<i>other</i>" in page_.text
    assert all(
        not any(key.startswith("on") for key in attributes) for _, attributes in page_.elements
    )


def test_nothing_is_fetched_and_nothing_may_be(outline):
    _, page_ = outline
    links = [a[key] for _, a in page_.elements for key in ("src", "href") if key in a]
    assert links
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    policy = next(a["content"] for a in page_.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert not [a for _, a in page_.elements if "style" in a]  # the policy would forbid them


def test_the_policys_hash_is_that_of_the_style_as_it_stands_in_the_file():
    import base64  # noqa: PLC0415 - beside its use
    import hashlib  # noqa: PLC0415

    text = page("x", "y", [section("z")])
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"sha256-{digest}" in text


def test_the_content_is_that_of_the_page(outline):
    content, page_ = outline
    data = json.loads(content.model_dump_json())
    assert data["pictures"] == 25
    assert sum(cell["pictures"] for cell in data["confusion"]) == 25
    wrong = sum(c["pictures"] for c in data["confusion"] if c["truth"] != c["predicted"])
    assert len(data["mistakes"]) == wrong == len(page_.all("figure"))
    assert data["broken"] == [{"file": "red/broken<b>.png", "reason": "No such file or directory"}]
    assert data["unknown"] == [{"label": "<i>other</i>", "pictures": 1, "hint": ""}]
    assert f"{100 * data['top_1']:.1f} %" in page_.text


def test_many_classes_become_a_list_of_what_is_confused_most():
    classes = [
        ClassContent(class_index=i, label=f"c{i}", pictures=10, precision=1.0, recall=1.0)
        for i in range(40)
    ]
    cells = [ConfusionContent(truth=i, predicted=i, pictures=9) for i in range(40)]
    cells += [ConfusionContent(truth=i, predicted=i - 1, pictures=1 + i % 3) for i in range(1, 40)]
    shown = Outline(to_html(charts.confusion(classes, cells)))
    assert len(shown.all("tr")) == 31
    assert shown.text.index("c2") < shown.text.index("c3c2")


def test_controls_and_lone_surrogates_can_be_written():
    text = to_html(element("p", "a\x00b\x1b\udcff\u2028c", title="\x07"))
    text.encode()
    assert "a\ufffdb\ufffd\ufffd" in text


def test_text_stays_where_it_stands_among_elements():
    text = to_html(element("p", "a", "b", element("b", "c"), "d", "e", element("br"), "f"))
    assert text.endswith("<p>ab<b>c</b>de<br>f</p>")


def test_a_thumbnail_is_small_and_no_picture_is_none():
    assert len(thumbnail(png("red", side=3000))) < 3000
    assert thumbnail(b"nothing") is None
