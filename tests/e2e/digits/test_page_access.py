"""The page for those who do not see it, or see it otherwise: axe-core, forced colours, keyboard."""

import httpx
import pytest

from tests.support.pages import choose

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def violations(page):
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - with the browser only

    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(browser, site, digits, scheme):
    context = browser.new_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    page = context.new_page()
    page.goto(site.url)
    page.wait_for_function("document.body.innerText.includes('digits')")
    assert violations(page) == []
    choose(page, "digit.png", digits.held_out[0][0])
    page.wait_for_selector("#result:visible")
    assert violations(page) == []
    page.set_input_files(
        "#file",
        [
            {"name": f"{at}.png", "mimeType": "image/png", "buffer": png}
            for at, png in enumerate([digits.held_out[0][0], b"no picture", digits.held_out[1][0]])
        ],
    )
    page.get_by_text("2 of 3 answered", exact=False).first.wait_for()
    assert violations(page) == []
    choose(page, "broken.png", b"no picture at all")
    page.wait_for_selector("#problem:visible")
    assert violations(page) == []
    context.close()


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_is_wider_than_the_window(browser, site, digits, width):
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(site.url)
    choose(page, "a-rather-long-name-of-a-picture-from-a-camera.png", digits.held_out[0][0])
    page.wait_for_selector("#result:visible")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_bars_are_seen_in_forced_colours(browser, site, digits):
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(site.url)
    choose(page, "digit.png", digits.held_out[0][0])
    page.wait_for_selector("#result:visible")
    first = page.locator("#predictions li:first-child")
    with_bar = first.screenshot()
    page.evaluate(
        "document.querySelectorAll('#predictions meter').forEach((bar) => { bar.value = 0; })"
    )
    assert first.screenshot() != with_bar
    context.close()


def test_the_keyboard_is_enough(page):
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent.trim().toLowerCase()")
        if "seven" in focused:
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:visible")
    assert page.inner_text("#predictions li:first-child b") == "seven"


def test_it_is_small(site):
    answer = httpx.get(site.url, trust_env=False)
    assert len(answer.content) < 100_000
