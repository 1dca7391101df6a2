"""`make screenshots`: the pictures of the page in docs/, taken from the running thing.

Run as `python -m scripts.screenshots`. Trains and publishes the digits model in a temporary folder,
starts both servers on free ports, and photographs the page in headless Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from tests.support import stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
MAX_BYTES: Final = 150_000
COLOURS: Final = 128
"""Of a picture's palette: the page has few, and photographs in it are small."""
PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
DESKTOP: Final = 1280
PHONE: Final = 320


def main() -> int:
    """Take them all; 0, or 3 if there is no browser."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        print("screenshots: Chromium is needed and none was found", file=sys.stderr)
        return 3
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - starts a driver process

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            with _digits(Path(folder)) as url:
                _take_all(browser, url, Path(folder) / "held-out")
        finally:
            browser.close()
    return 0


@contextmanager
def _digits(folder: Path) -> Iterator[str]:
    """Serve the digits; the gateway's address."""
    models = folder / "models"
    stack.export(
        "demo", "--base-path", str(models), "--write-held-out", str(folder / "held-out")
    )  # fmt: skip
    with (
        stack.model_server(models) as server,
        stack.gateway(server.url("grpc"), "digits", folder / "gateway.log") as gateway,
    ):
        yield gateway.url


def _take_all(browser: Browser, url: str, held_out: Path) -> None:
    digits = [str(path) for path in sorted(held_out.glob("*.png"))[:11]]
    with _page(browser, url) as page:
        _save(page, DOCS / "pictures" / "page-empty.png")
        _ask_for_seven(page)
        _save(page, DOCS / "page.png", is_whole=False)
        _save(page, DOCS / "pictures" / "page-light.png")
    with _page(browser, url, color_scheme="dark") as page:
        _ask_for_seven(page)
        _save(page, DOCS / "pictures" / "page-dark.png")
    with _page(browser, url, width=PHONE, has_touch=True, is_mobile=True) as page:
        _ask_for_seven(page)
        _save(page, DOCS / "pictures" / "page-phone.png")
    with _page(browser, url) as page:
        page.set_input_files("#file", [*digits, str(ROOT / "README.md")])
        page.get_by_text("11 of 12 answered, 1 with a problem").first.wait_for()
        _save_part(page, "#batch", DOCS / "pictures" / "page-batch.png")
        page.wait_for_selector("#stage-rows th")
        page.wait_for_timeout(10_000)  # the lines over time need some time
        _save_part(page, "#live", DOCS / "pictures" / "page-live.png")
    with _page(browser, url) as page:
        photo = {"name": "photo.heic", "mimeType": "image/heic", "buffer": b"\0\0\0\x18ftypheic"}
        page.set_input_files("#file", photo)  # type: ignore[arg-type]  # playwright's TypedDict
        page.wait_for_selector("#problem:visible")
        _save(page, DOCS / "pictures" / "page-problem.png", is_whole=False)


@contextmanager
def _page(browser: Browser, url: str, *, width: int = DESKTOP, **options: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#state.ready")
    page.wait_for_selector("#live:visible")
    yield page
    context.close()


def _ask_for_seven(page: Page) -> None:
    page.click("#samples button:first-of-type")
    page.wait_for_selector("#result:visible")
    page.wait_for_selector("#stage-rows th")


def _save(page: Page, file: Path, *, is_whole: bool = True) -> None:
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=file, full_page=is_whole)
    _optimise(file)


def _save_part(page: Page, selector: str, file: Path) -> None:
    page.locator(selector).screenshot(path=file)
    _optimise(file)


def _optimise(file: Path) -> None:
    with Image.open(file) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(file, optimize=True)
    size = file.stat().st_size
    if size >= MAX_BYTES:
        raise ValueError(f"{file} has {size:,} bytes")
    print(f"{file.relative_to(ROOT)}  {size:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
