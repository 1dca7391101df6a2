"""The page in a real browser: a picture in, bars out, and problems in words."""

from hashlib import sha256

import pytest

from tests.support import stack
from tests.support.pages import choose

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_a_chosen_digit_shows_bars_version_and_timings(page, digits):
    png, label = digits.held_out[0]
    choose(page, "digit.png", png)
    page.wait_for_selector("#result:visible")
    assert page.inner_text("#predictions li:first-child b") == label
    percents = [
        float(text.rstrip(" %"))
        for text in page.locator("#predictions .row span").all_inner_texts()
    ]
    assert percents == sorted(percents, reverse=True)
    assert percents[0] > 50
    bar = page.locator("#predictions li:first-child meter")
    assert bar.evaluate("bar => bar.value") == pytest.approx(percents[0] / 100, abs=0.001)
    assert page.inner_text("#model") == "digits, version 1 · PNG 32 \u00d7 32"
    assert "decode" in page.inner_text("#legend")
    assert "inference" in page.inner_text("#legend")
    assert page.locator("#preview").get_attribute("alt") == "The chosen picture, digit.png"


def test_a_dropped_picture_is_classified(page, digits):
    png, label = digits.held_out[1]
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}));
        }""",
        list(png),
    )
    page.wait_for_selector("#result:visible")
    assert page.inner_text("#predictions li:first-child b") == label


def test_a_file_that_is_no_picture_gets_the_problem_in_words(page, digits):
    choose(page, "notes.txt", b"not a picture at all", "text/plain")
    page.wait_for_selector("#problem:visible")
    assert "422" in page.inner_text("#problem .meta")
    assert page.inner_text("#problem h2").strip()
    choose(page, "digit.png", digits.held_out[0][0])  # and it recovers
    page.wait_for_selector("#result:visible")
    assert not page.is_visible("#problem")


def test_the_state_says_ready(page):
    page.wait_for_selector("#state.ready")
    assert page.inner_text("#state") == "●\u00a0ready" or page.inner_text("#state") == "ready"


def test_it_fits_a_phone(page, digits):
    page.set_viewport_size({"width": 360, "height": 740})
    choose(page, "digit.png", digits.held_out[0][0])
    page.wait_for_selector("#result:visible")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_phone_offers_its_camera_and_no_dropping(browser, site):
    context = browser.new_context(has_touch=True, is_mobile=True)
    phone = context.new_page()
    phone.goto(site.url)
    assert phone.is_visible(".camera")
    assert not phone.is_visible(".mouse")
    context.close()


def test_a_desk_offers_dropping_and_no_camera(page):
    assert not page.is_visible(".camera")
    assert page.is_visible(".mouse")


def test_a_closed_gateway_asks_for_the_key_and_takes_it(browser, digits, digits_server, tmp_path):
    (tmp_path / "keys").write_text(f"page:{sha256(b'open sesame').hexdigest()}\n")
    environment = {"GATEWAY_API_KEYS_FILE": str(tmp_path / "keys")}
    log = tmp_path / "gateway.log"
    with stack.gateway(digits_server.url("grpc"), "digits", log, **environment) as gateway:
        page = browser.new_page()
        page.goto(gateway.url)
        page.wait_for_selector("#ask:visible")  # the pickers needed it already
        choose(page, "digit.png", digits.held_out[0][0])
        page.wait_for_selector("#problem:visible")
        assert "An API key is needed" in page.inner_text("#problem")
        page.fill("#key", "wrong")
        page.press("#key", "Enter")
        page.wait_for_selector("#ask:visible")
        page.fill("#key", "open sesame")
        page.press("#key", "Enter")
        page.wait_for_selector("#result:visible")
        assert page.locator("#ask").is_hidden()
        page.close()
