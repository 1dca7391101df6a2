"""The page over a while: pasted pictures, what was asked before, a model server that goes away."""

import pytest

from tests.support import stack
from tests.support.pages import choose
from tests.support.processes import free_ports

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_a_pasted_picture_is_classified(page, digits):
    png, label = digits.held_out[2]
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
        }""",
        list(png),
    )
    page.wait_for_selector("#result:visible")
    assert page.inner_text("#predictions li:first-child b") == label


def test_pasted_words_change_nothing(page):
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.setData("text/plain", "no picture");
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
        }"""
    )
    assert page.is_visible("#idle")


def test_what_was_asked_before_is_shown_again_and_let_go(page, digits):
    first, label = digits.held_out[0]
    other = next(png for png, name in digits.held_out if name != label)
    for name, png in (("first.png", first), ("second.png", other), ("third.png", other)):
        choose(page, name, png)
        page.wait_for_selector("#result:visible")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(
        "#seen button[aria-label*='first.png'], #seen button:has-text('first.png')"
    ).click()
    assert page.inner_text("#predictions li:first-child b") == label
    assert not [url for url in asked if "/classify" in url]
    shown = page.get_attribute("#preview", "src")
    let_go = page.locator("#seen li", has_text="second.png").locator("img").get_attribute("src")
    page.click("#clear")
    assert page.locator("#seen li").count() == 0
    loads = """(source) => new Promise((done) => {
        const image = new Image();
        image.onload = () => done(true);
        image.onerror = () => done(false);
        image.src = source;
    })"""
    assert page.evaluate(loads, shown)
    assert not page.evaluate(loads, let_go)


def test_it_says_why_it_is_not_ready_and_turns_by_itself(browser, digits, tmp_path):
    ports = tuple(free_ports(2))
    address = f"grpc://127.0.0.1:{ports[0]}"
    log = tmp_path / "gateway.log"
    with stack.gateway(address, "digits", log, is_awaited=False) as gateway:
        page = browser.new_page()
        page.goto(gateway.url)
        page.wait_for_selector("#state.down")
        page.wait_for_selector("#reason:visible")
        assert "digits" in page.inner_text("#reason")
        with stack.model_server(digits.models, ports=ports):
            page.wait_for_selector("#state.ready", timeout=60_000)
            assert not page.is_visible("#reason")
            choose(page, "digit.png", digits.held_out[0][0])
            page.wait_for_selector("#result:visible")
        page.close()
