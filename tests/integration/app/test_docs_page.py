"""/docs in a real browser without a network: try-it-out classifies, and the policy is kept."""

from __future__ import annotations

import json

import pytest

from tests.support.api_keys import KEY
from tests.support.gateway import running_gateway

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def page(browser):
    context = browser.new_context()
    opened = context.new_page()
    opened.complaints, opened.urls = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda request: opened.urls.append(request.url))
    yield opened
    context.close()


def try_classify(page, photo):
    operation = page.locator("#operations-classify-classify")
    if not operation.locator("input[type=file]").count():
        operation.locator(".opblock-summary-control").click()
        operation.locator("button.try-out__btn").click()
    photo_file = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo}
    operation.locator("input[type=file]").set_input_files(photo_file)
    with page.expect_response(lambda response: "/classify" in response.url) as answer:
        operation.locator("button.execute").click()
    shown = operation.locator(".live-responses-table .response-col_status")
    shown.filter(has_text=str(answer.value.status)).first.wait_for()
    return answer.value


def test_try_it_out_classifies_with_a_key(page, fake, keys_file, photo):
    with running_gateway(fake.url, api_keys_file=keys_file) as gateway:
        page.goto(f"{gateway.url}/docs")
        assert page.title().startswith("Sightserve ")
        assert try_classify(page, photo).status == 401
        page.locator("button.authorize.unlocked").first.click()
        page.locator("#auth-bearer-value").fill(KEY)
        page.locator(".auth-container button.authorize").first.click()
        page.locator(".btn-done").first.click()
        answer = try_classify(page, photo)
        assert answer.status == 200
        assert json.loads(answer.text())["predictions"][0]["label"] == "label-3"
        schemas = page.locator("section.models")
        schemas.locator("h4 button").click()
        schemas.get_by_text("ClassifyAnswer").first.wait_for()
        own = (gateway.url, "blob:", "data:")
        assert [url for url in page.urls if not url.startswith(own)] == []
    # The refusal shows as a network error; nothing else may complain, the policy least of all.
    assert [each for each in page.complaints if "Failed to load resource" not in each] == []
