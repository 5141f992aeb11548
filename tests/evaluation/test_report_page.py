"""The report's page in a real browser: offline, without errors, verdicts first, by day, night, on paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simulator.evaluation.report import (
    Chart,
    Report,
    Section,
    Series,
    Verdict,
    Video,
    table,
)
from simulator.evaluation.report_page import media, report_page
from simulator.evaluation.report_page.charts import chart_svg
from simulator.videos import write_video

PATIENCE_MS = 120_000
X = (1.0, 5.0, 10.0, 20.0, 40.0, 80.0)


def curve(name: str, height: float) -> Series:
    y = tuple(height + 0.1 * x for x in X)
    return Series(name, X, y, tuple(v - 0.5 for v in y), tuple(v + 0.5 for v in y))


def section(name: str, folder: Path) -> Section:
    """A part with everything that a part can have."""
    rng = np.random.default_rng(0)
    sheet = rng.integers(0, 255, (64, 2048, 3), np.uint8)
    Image.fromarray(sheet).save(folder / f"{name}.png")
    (folder / "videos").mkdir(exist_ok=True)
    frames = [np.full((32, 64, 3), 20 * t, np.uint8) for t in range(10)]
    write_video(folder / f"videos/{name}.mp4", frames, dreamed=True)
    cloud = rng.normal(size=(2, 200))
    wide = table(
        "Wide",
        ("metric", *(f"{x:g} steps" for x in X)),
        [("psnr_db", *["20.3 [19.8, 20.7]"] * 6)] * 3,
    )
    return Section(
        name, f"Part <{name}>", {"value": 1.0}, (wide,), ("A note & more.",), (f"{name}.png",),
        (
            Chart("Curves", "steps", "error, m", (curve("dream", 1), curve("floor", 4)), log_x=True),
            Chart("Cloud", "x", "y", (Series("", *map(tuple, cloud.tolist())),), "scatter", identity=True),
            Chart(
                "By weather", "weather", "y",
                (Series("", (0.0, 1.0), (1.0, 2.0), (0.5, 1.5), (1.5, 2.5)),), "scatter",
                categories=("day", "night"),
            ),
        ),
        (
            Verdict(f"In {name} for 2 s: the dream's road bends as the true one (12 % off).", True),
            Verdict(f"In {name} beyond 4 s: what it shows is invented (error 3.2 m, floor 1.1 m).", False),
        ),
        (Video(f"videos/{name}.mp4", "The worst"),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report with as many parts as a whole evaluation has."""
    folder = tmp_path_factory.mktemp("page")
    parts = ["meter", "open_loop", "control", "stability", "closed_loop", "agreement"]
    sections = [section(name, folder) for name in parts]
    conditions = {
        "model": "town",
        "checkpoint": "c0ffee",
        "held-out drives": "40 drives, 9 frames, ab",
    }
    report = Report(conditions, {"open_loop": {"starts": 60}}, {"device": "paper"}, sections)
    path = folder / "report.html"
    path.write_text(report_page(report, folder), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def seen(browser, place):
    """The opened page on a laptop's screen, with what it asked for and complained about."""
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.set_default_timeout(PATIENCE_MS)
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(place.as_uri(), timeout=PATIENCE_MS)
    return page, requests, complaints


def test_the_page_asks_for_nothing_and_complains_about_nothing(seen, place):
    _, requests, complaints = seen
    assert [url for url in requests if not url.startswith("data:")] == [place.as_uri()]
    assert complaints == []


def test_the_first_screen_holds_all_verdicts(seen):
    page, _, _ = seen
    box = page.locator("#verdicts").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] < 768
    first = page.inner_text("body").split("\n\n")
    said = " ".join(first[:4])
    assert said.index("How far can the dream of town be trusted?") < said.index("Trust it for")
    assert page.locator("#verdicts li").count() == 12


@pytest.mark.parametrize("width", [1366, 820])
def test_nothing_sticks_out_sideways(seen, width):
    page, _, _ = seen
    page.set_viewport_size({"width": width, "height": 768})
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    page.set_viewport_size({"width": 1366, "height": 768})


def test_pictures_are_shown_and_clips_can_be_played(seen):
    page, _, _ = seen
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.readyState >= 2)")
    shape = page.evaluate(
        "[...document.querySelectorAll('video')].map(v => v.videoWidth / v.videoHeight)"
    )
    assert shape == [2.0] * 6
    widths = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert sorted(set(widths)) == [192, 1536]  # a clip's last frame, for paper; the sheet, shrunk


def test_colours_follow_the_reader_s_setting_and_paper(seen):
    page, _, _ = seen

    def colours() -> tuple[str, str]:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        line = "document.querySelector('.charts svg path[style*=\"--series-0\"]')"
        return paper, page.evaluate(f"getComputedStyle({line}).stroke")

    page.emulate_media(color_scheme="light")
    day = colours()
    page.emulate_media(color_scheme="dark")
    night = colours()
    page.emulate_media(media="print", color_scheme="dark")
    assert colours() == day
    assert day[0] == "rgb(255, 255, 255)"
    assert night[0] != day[0]
    assert night[1] != day[1]
    assert not page.locator("nav").is_visible()
    page.emulate_media(media="screen", color_scheme="light")


def test_the_page_of_equal_reports_is_equal(place):
    chart = Chart("Curves", "steps", "m", (curve("dream", 1),))
    assert chart_svg(chart, 3) == chart_svg(chart, 3)
    text = place.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "Part &lt;meter&gt;" in text


def test_sections_without_charts_or_verdicts_make_a_page(tmp_path):
    bare = Report({"model": "m", "checkpoint": "c", "held-out drives": "x, y"}, {}, {}, [])
    bare.sections.append(Section("old", "Old", {}))
    assert "No part of this evaluation gives a verdict" in report_page(bare, tmp_path)


def test_clips_beyond_the_budget_stay_beside_the_page_and_are_named(tmp_path):
    small, large = Video("small.mp4", "s"), Video("large.mp4", "l")
    (tmp_path / "large.mp4").write_bytes(bytes(media.VIDEO_BUDGET_BYTES + 1))
    write_video(tmp_path / "small.mp4", [np.zeros((32, 64, 3), np.uint8)] * 3, dreamed=True)
    both = Section("a", "A", {}, videos=(large, small))
    report = Report({"model": "m", "checkpoint": "c", "held-out drives": "x, y"}, {}, {}, [both])
    text = report_page(report, tmp_path)
    assert text.count("<video") == 1
    assert "too large for this page: large.mp4" in text
