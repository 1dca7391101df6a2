"""The page's answers belong to what is asked: overtaken ones, several at once, and from code."""

import json
import subprocess

import pytest

from tests.support.pages import choose
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CLASSIFY = "**/classify*"


def best_label(page):
    return page.inner_text("#predictions li:first-child b")


def two_labels(digits):
    """Two held-out pictures with different labels."""
    first = digits.held_out[0]
    return first, next(each for each in digits.held_out if each[1] != first[1])


def test_an_overtaken_answer_is_never_shown(page, digits):
    (first, first_label), (second, second_label) = two_labels(digits)
    held, answers = [], []

    def hold_the_first(route):
        if held:
            route.continue_()
        else:
            held.append(route)  # before the answer: the second may be asked while it is fetched
            answers.append(route.fetch())

    page.route(CLASSIFY, hold_the_first)
    page.evaluate(
        """() => {
            window.shown = new Set();
            const best = document.getElementById("predictions");
            new MutationObserver(() => {
                const label = best.querySelector("li:first-child b");
                if (label) window.shown.add(label.textContent);
            }).observe(best, {childList: true, subtree: true});
        }"""
    )
    with page.expect_request(CLASSIFY):
        choose(page, "first.png", first)
    page.wait_for_selector("#busy:visible")
    choose(page, "second.png", second)
    page.wait_for_selector("#result:visible")
    assert best_label(page) == second_label
    wait_until(lambda: answers or page.wait_for_timeout(20), what="the first answer, which is held")
    (route,), (response,) = held, answers
    assert response.json()["predictions"][0]["label"] == first_label
    route.fulfill(response=response)
    with page.expect_response("**/stats"):  # the page went on
        pass
    assert best_label(page) == second_label
    assert page.evaluate("[...window.shown]") == [second_label]


def test_the_old_answer_goes_as_soon_as_a_new_picture_is_chosen(page, digits):
    (first, _), (second, second_label) = two_labels(digits)
    choose(page, "first.png", first)
    page.wait_for_selector("#result:visible")
    held = []
    page.route(CLASSIFY, lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks what it calls
    with page.expect_request(CLASSIFY):
        choose(page, "second.png", second)
    assert not page.is_visible("#result")
    assert "second.png" in page.inner_text("#busy")
    held[0].continue_()
    page.wait_for_selector("#result:visible")
    assert best_label(page) == second_label


def test_several_pictures_with_a_broken_one_are_a_grid_with_one_problem(page, digits):
    files = [
        {"name": f"{at}.png", "mimeType": "image/png", "buffer": png}
        for at, (png, _) in enumerate(digits.held_out[:3])
    ]
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    page.set_input_files("#file", [files[0], broken, *files[1:]])
    page.get_by_text("3 of 4 answered, 1 with a problem", exact=True).first.wait_for()
    said = page.locator("#grid .said").all_inner_texts()
    assert len(said) == 4
    assert [text.split()[0] for text in said[:1] + said[2:]] == [
        label for _, label in digits.held_out[:3]
    ]
    assert page.locator("#grid .wrong").count() == 1
    page.locator("#grid button").nth(1).click()
    assert page.is_visible("#problem")
    page.locator("#grid button").nth(2).click()
    assert best_label(page) == digits.held_out[1][1]


def test_heic_is_named_before_anything_is_sent(page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    choose(page, "IMG_0001.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic")
    page.wait_for_selector("#problem:visible")
    assert page.inner_text("#problem h2") == "HEIC is not read here"
    assert not [url for url in asked if "classify" in url]


def test_the_copied_curl_command_classifies_the_file(page, digits, tmp_path):
    name = 'it\'s a; "cat", 7.png'
    png, label = digits.held_out[0]
    (tmp_path / name).write_bytes(png)
    choose(page, name, png)
    page.wait_for_selector("#result:visible")
    command = page.locator("#snippet").text_content()
    assert command.startswith("curl")
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert json.loads(done.stdout)["predictions"][0]["label"] == label


def test_the_picked_version_is_asked_for_and_stays_in_the_address(page, digits):
    page.wait_for_selector('#version-choice option[value="version:1"]', state="attached")
    page.select_option("#version-choice", "version:1")
    assert page.evaluate("location.hash") == "#version=1"
    with page.expect_request(CLASSIFY) as asked:
        choose(page, "digit.png", digits.held_out[0][0])
    assert asked.value.url.endswith("/classify?version=1")
    page.wait_for_selector("#result:visible")
    page.reload()
    page.wait_for_selector('#version-choice option[value="version:1"]', state="attached")
    assert page.input_value("#version-choice") == "version:1"
