"""The report in headless Chromium, where one and playwright are installed."""

import shutil
from pathlib import Path

import pytest

import netsim

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
@pytest.mark.parametrize("width", [390, 1440])
def test_slider_and_sorting_work_without_an_error(
    hostile_run: netsim.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("NETSIM_STORE", str(hostile_run.path.parent / "store.sqlite"))
    report = hostile_run.report(tmp_path / "report.html")
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(report.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        group = page.locator(".slots").first
        before = group.locator("h4:visible").all_inner_texts()
        group.locator("input").focus()
        page.keyboard.press("ArrowRight")
        after = group.locator("h4:visible").all_inner_texts()
        assert len(before) == len(after) == 1
        assert before != after
        table = page.locator("table").last
        for descending in (True, False):
            table.locator("th button").nth(2).click()
            rates = [float(text) for text in table.locator("tbody td:nth-child(3)").all_inner_texts()]
            assert rates == sorted(rates, reverse=descending)
        assert len(set(rates)) > 1
        browser.close()
    assert said == []
