"""The page works where people open it: from a file, by mouse, by keys, on a phone, on paper."""

import base64
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from gan_lab.reports.html import page
from gan_lab.reports.plots.animation import Animation, save_page
from tests.page_helpers import NASTY, hostile, report, wide_report

ANIMATION, CHART = ".animation", ".chart"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    directory = tmp_path_factory.mktemp("page")
    page.write(report(directory), directory / "page.html")
    return (directory / "page.html").as_uri()


def find(driver, selector):
    return driver.find_element("css selector", selector)


def until(driver, script, *arguments, seconds=10):
    """Waits until a script returns something true, and returns it."""
    end = time.monotonic() + seconds
    while not (value := driver.execute_script(script, *arguments)):
        assert time.monotonic() < end, f"never true: {script}"
        time.sleep(0.05)
    return value


def open_page(browser, address, *size, **more):
    driver = browser(*size, **more)
    driver.get(address)
    return driver


def console_messages(driver):
    return [entry["message"] for entry in driver.get_log("browser")]


def overflow(driver):
    return driver.execute_script(
        "return document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
    )


def to_chart(driver):
    """The first chart, drawn and in sight."""
    chart = find(driver, CHART)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    until(driver, "return arguments[0].querySelector('.xtitle')", chart)
    return chart


def choose(driver, selector, value):
    from selenium.webdriver.support.ui import Select

    Select(find(driver, selector)).select_by_value(value)


def test_charts_answer_to_pointer_and_choosers_and_no_request_leaves_the_page(browser, address):
    from selenium.webdriver.common.action_chains import ActionChains

    driver = open_page(browser, address, 1280, 900)
    chart = to_chart(driver)
    title = "return arguments[0].querySelector('.xtitle').textContent"
    assert driver.execute_script(title, chart) == "steps (rounds of the game)"

    hover = "return arguments[0].querySelector('.hoverlayer').textContent"
    # Both groups were measured at the same steps, not at the same seconds.
    for axis, pattern in (
        ("step", r"minimax: 1\.\d+ \[[\d.]+, 1\.\d+\] data units, 3 seeds"),
        ("seconds", r"minimax: 1\.\d+ \[[\d.]+, 1\.\d+\] data units, 3 seeds, at \d+"),
    ):
        choose(driver, ".axis", axis)
        ActionChains(driver).move_to_element_with_offset(chart, -430, -60).perform()
        ActionChains(driver).move_to_element_with_offset(chart, -435, 0).perform()
        hover_text = until(driver, hover, chart)
        assert re.search(pattern, hover_text), hover_text
        assert NASTY in hover_text
    assert driver.execute_script(title, chart) == "seconds of training"

    choose(driver, ".scale", "log")
    assert driver.execute_script("return arguments[0].layout.yaxis.type", chart) == "log"
    names = "return arguments[0].data.map((trace) => trace.name)"
    assert "minimax" in driver.execute_script(names, chart)
    key = find(driver, ".key")
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    assert "minimax" not in driver.execute_script(names, chart)

    for each in driver.find_elements("css selector", CHART):
        driver.execute_script("arguments[0].scrollIntoView()", each)
    requests_script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    assert all(name.startswith("data:") for name in driver.execute_script(requests_script))
    assert console_messages(driver) == []
    assert overflow(driver) <= 0

    # The control: a request would be stopped, and would have been seen above.
    driver.execute_script("new Image().src = 'http://127.0.0.1:9/x.png'")
    until(driver, "return true")
    time.sleep(0.2)
    assert any("Content Security Policy" in message for message in console_messages(driver))


def test_the_animation_plays_scrubs_and_obeys_keys(browser, address):
    from selenium.webdriver.common.keys import Keys

    driver = open_page(browser, address, 1280, 900)
    animation = find(driver, ANIMATION)
    canvas = "return document.querySelector('.animation canvas').toDataURL()"
    clock = "return arguments[0].querySelector('.clock').textContent"
    captions = "return [...arguments[0].querySelectorAll('.caption')].map((e) => e.textContent)"

    # It begins on its result; a group without that step shows its last and says so.
    assert driver.execute_script(clock, animation) == "step 20"
    first, second = driver.execute_script(captions, animation)
    assert first.startswith("step 20; logit ")
    assert second.startswith("step 10 its last before 20; logit ")

    last = driver.execute_script(canvas)
    assert len(last) > 5000
    animation.send_keys(Keys.HOME)
    assert driver.execute_script(clock, animation) == "step 0"
    assert driver.execute_script(canvas) != last
    animation.send_keys(Keys.ARROW_RIGHT)
    assert driver.execute_script(clock, animation) == "step 10"
    animation.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert driver.execute_script(clock, animation) == "step 0"
    animation.send_keys(Keys.END)
    assert driver.execute_script(canvas) == last

    # Space plays, from the start where it stood at the end, and pauses.
    choose(driver, f"{ANIMATION} .speed", "0.25")
    animation.send_keys(" ")
    word = "return arguments[0].querySelector('.play .word').textContent"
    assert driver.execute_script(word, animation) == "Pause"
    assert driver.execute_script(clock, animation) == "step 0"
    animation.send_keys(" ")
    assert driver.execute_script(word, animation) == "Play"

    # The button plays to the end and stops there.
    choose(driver, f"{ANIMATION} .speed", "4")
    find(driver, f"{ANIMATION} .play").click()
    assert driver.execute_script(word, animation) == "Pause"
    until(driver, clock + " === 'step 10'", animation)
    until(driver, word + " === 'Play'", animation)
    assert driver.execute_script(clock, animation) == "step 20"

    scrub = find(driver, f"{ANIMATION} .scrub")
    scrub.send_keys(Keys.ARROW_LEFT)
    assert driver.execute_script(clock, animation) == "step 10"
    assert scrub.get_attribute("aria-valuetext") == "step 10"

    # Pictures are animated as well.
    pictures = find(driver, ".animation[data-kind=pictures]")
    source = "return arguments[0].querySelector('img').src"
    last = driver.execute_script(source, pictures)
    pictures.send_keys(Keys.HOME)
    assert driver.execute_script(source, pictures) != last
    pictures.send_keys(Keys.END)
    assert driver.execute_script(source, pictures) == last
    assert console_messages(driver) == []


BOTTOMS = """
const bottom = (e) => e.getBoundingClientRect().bottom;
return Object.fromEntries([".badge", ".headline", ".dots", ".sample-row"].map(
  (name) => [name, Math.max(...[...document.querySelectorAll(".first")].slice(0, 1).flatMap(
    (first) => [...first.querySelectorAll(name)].map(bottom)))]));
"""


@pytest.mark.parametrize("size", [(1280, 720), (390, 844), (1920, 1080)], ids=str)
def test_the_first_screen_answers_without_scrolling(browser, tmp_path, size):
    comparison = report(tmp_path)
    words = " ".join(["The first is better by a number with an interval."] * 3)
    verdict = replace(comparison.sections[0].verdict, headline=words, details=[words[:90]] * 3)
    first = replace(comparison.sections[0], verdict=verdict)
    page.write(replace(comparison, sections=[first]), tmp_path / "page.html")
    driver = open_page(browser, (tmp_path / "page.html").as_uri(), *size, mobile=size[0] < 500)
    for name, bottom in driver.execute_script(BOTTOMS).items():
        assert 0 < bottom <= size[1], name
    assert overflow(driver) <= 0


def test_eight_groups_fit_into_the_first_screen(browser, tmp_path):
    comparison = wide_report(tmp_path, labels=[f"hinge + spectral norm, lr {i}" for i in range(8)])
    verdict = replace(comparison.sections[0].verdict, details=["One sentence says more."])
    first = replace(comparison.sections[0], verdict=verdict)
    page.write(replace(comparison, sections=[first]), tmp_path / "page.html")
    driver = open_page(browser, (tmp_path / "page.html").as_uri(), 1280, 720)
    assert 0 < max(driver.execute_script(BOTTOMS).values()) <= 720


def test_words_of_the_animation_can_be_read_from_afar(browser, address):
    driver = open_page(browser, address, 1280, 720)
    sizes = driver.execute_script(
        "return [...document.querySelectorAll('.animation *')].filter((e) => e.innerText && "
        "!e.matches('.hidden')).map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert len(sizes) > 10
    assert min(sizes) >= 16


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_in_the_dark_reads_it_without_scrolling_sideways(browser, address, width):
    driver = open_page(browser, address, width, 844, dark=True, mobile=True)
    for each in driver.find_elements("css selector", f"{CHART}, details"):
        driver.execute_script("arguments[0].open = true; arguments[0].scrollIntoView()", each)
    to_chart(driver)
    assert driver.execute_script("return innerWidth") == width
    assert driver.execute_script("return document.scrollingElement.scrollWidth") <= width
    paper, text, real = driver.execute_script(
        "return [variable('--paper'), variable('--text'), ink('#000000')].map((c) => rgb(c))"
    )
    assert max(paper) < 60
    assert min(text) > 200
    assert min(real) > 200  # black data would vanish
    line = "return document.querySelector('.chart').data.at(-1).line.color"
    dark = driver.execute_script(line)
    light = [{"name": "prefers-color-scheme", "value": "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": light})
    until(driver, f"{line} !== arguments[0]", dark)
    assert console_messages(driver) == []


@pytest.mark.slow
def test_on_paper_everything_is_open_and_light_and_all_curves_are_there(browser, address):
    driver = open_page(browser, address, 1280, 900, dark=True)
    driver.execute_script(
        "window.seen = null; addEventListener('beforeprint', () => { window.seen = {"
        "closed: document.querySelectorAll('details:not([open])').length,"
        "charts: document.querySelectorAll('.print-charts .main-svg').length > 0 &&"
        " [...document.querySelectorAll('.print-charts')].every((each) => each.children.length),"
        "paper: variable('--paper')}; })"
    )
    pdf = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert base64.b64decode(pdf).startswith(b"%PDF")
    print_view = driver.execute_script("return window.seen")
    assert print_view["closed"] == 0
    assert print_view["charts"]
    assert sum(page_colour(print_view["paper"])) > 3 * 240
    after = driver.execute_script(
        "return [document.querySelectorAll('.print-charts > *').length, variable('--paper')]"
    )
    assert after[0] == 0
    assert sum(page_colour(after[1])) < 3 * 60
    assert console_messages(driver) == []


def page_colour(colour):
    digits = colour.lstrip("#")
    digits = "".join(2 * c for c in digits) if len(digits) == 3 else digits
    return [int(digits[i : i + 2], 16) for i in (0, 2, 4)]


def test_without_a_script_the_words_tables_and_last_pictures_are_there(browser, address):
    driver = browser(1280, 900)
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(address)
    body = find(driver, "main").text
    assert "Curves and animations need JavaScript" in body
    assert "On plane the first is better." in body
    assert "0.5 [0.4, 0.6]" in " ".join(body.split())
    assert find(driver, ".samples img").is_displayed()
    assert find(driver, ".points").is_displayed()
    assert not find(driver, ".controls").is_displayed()
    assert json.dumps(NASTY)[1:5] in json.dumps(body)


def test_a_studys_animation_opens_on_its_last_picture_and_plays_when_asked(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    shades = [np.full((600, 900, 3), shade, np.uint8) for shade in (0, 120, 250)]
    animation = Animation("A study", shades, ["step 0", "step 10", "step 20"], milliseconds=200)
    save_page(animation, tmp_path / "f.html")
    driver = open_page(browser, (tmp_path / "f.html").as_uri(), 1280, 720)
    caption = "return document.getElementById('caption').textContent"
    button, body = find(driver, "#play"), find(driver, "body")
    assert driver.execute_script(caption) == "step 20"
    bottom = "return document.querySelector('.controls').getBoundingClientRect().bottom"
    assert 0 < driver.execute_script(bottom) <= 720
    assert (
        min(
            driver.execute_script(
                "return [...document.querySelectorAll('body *')].map("
                "(e) => parseFloat(getComputedStyle(e).fontSize))"
            )
        )
        >= 16
    )
    for key, step in ((Keys.HOME, 0), (Keys.ARROW_RIGHT, 10), (Keys.END, 20)):
        body.send_keys(key)
        assert driver.execute_script(caption) == f"step {step}"
    body.send_keys(" ")
    assert driver.execute_script(caption) == "step 0"
    assert button.text == "Pause"
    until(driver, "return document.getElementById('play').textContent === 'Play'")
    assert driver.execute_script(caption) == "step 20"
    assert console_messages(driver) == []
    driver = open_page(browser, (tmp_path / "f.html").as_uri(), 390, 844, mobile=True)
    assert overflow(driver) <= 0


MARKUP = (
    '<script>window.hacked="name"</script>',
    '"><img src=x onerror=window.hacked=1><svg onload=window.hacked=2>',
    "</script></title></style><script>window.hacked=3</script>",
    "<a href='javascript:window.hacked=4' onmouseover='window.hacked=5'>x</a>",
    "javascript:window.hacked=6",
)


def test_nothing_in_a_text_of_a_run_becomes_a_script_or_an_element(browser, tmp_path):
    """Also without the page's policy, which would stop most of it: the texts are escaped."""
    evil = " ".join(MARKUP)
    comparison = hostile(report(tmp_path, labels=("minimax", "harmless")), evil)
    source = page.render(comparison)
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    assert policy.search(source)
    (tmp_path / "page.html").write_text(policy.sub("", source), encoding="utf-8")
    driver = open_page(browser, (tmp_path / "page.html").as_uri(), 1280, 900)
    for each in driver.find_elements("css selector", f"{CHART}, details"):
        driver.execute_script("arguments[0].open = true; arguments[0].scrollIntoView()", each)
    chart = to_chart(driver)
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).move_to_element(chart).perform()
    for key in driver.find_elements("css selector", ".key")[:2]:
        driver.execute_script("arguments[0].click()", key)
    assert driver.execute_script("return document.title") == " ".join(evil.split())
    assert driver.execute_script("return window.hacked === undefined")
    strange = (
        "return [...document.querySelectorAll('*')].filter((e) => e.matches('[onerror], [onload], "
        "[onmouseover], [href^=javascript], img[src=x]')).length"
    )
    assert driver.execute_script(strange) == 0
    # The control: the same markup, unescaped, would have run.
    driver.execute_script("document.body.insertAdjacentHTML('beforeend', arguments[0])", evil)
    until(driver, "return window.hacked !== undefined")
