"""The page of a study fits a phone and a projector; its verdict and figure are in sight."""

import pytest

from gan_lab.experiments import page
from gan_lab.reports.plots.samples import encode_png, render_figure
from gan_lab.reports.plots.style import canvas
from tests.experiments.test_page import record

LONG = (
    "A statement that a study makes about a method, in a sentence as long as they are, with units"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    picture = encode_png(render_figure(canvas("A figure", 2, 3)[0]))
    saved = record(*["pass"] * 8, "inconclusive", text=LONG)
    path = tmp_path_factory.mktemp("study") / "index.html"
    path.write_text(page.study_page("A study", saved, {"one": picture, "two": picture}, {}))
    return path.as_uri()


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_first_screen_has_the_verdict_and_nothing_leaves_the_page(
    browser, address, width, height, dark
):
    driver = browser(width, height, dark=dark, mobile=width < 500)
    driver.get(address)
    assert driver.execute_script("return document.documentElement.scrollWidth") == width
    bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
    assert driver.execute_script(bottom, ".verdict") < height / 2
    assert driver.execute_script(bottom, ".claims li") < height
    if width > 1000:
        assert driver.execute_script(bottom, ".picture img") < height
    images = "return [...document.images].every(image => image.complete && image.naturalWidth)"
    assert driver.execute_script(images)
    assert [entry["message"] for entry in driver.get_log("browser")] == []
