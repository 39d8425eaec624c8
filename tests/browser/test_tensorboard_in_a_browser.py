"""What a person sees of a comparison in TensorBoard: charts with bands, the table, pictures, words.

Screenshots lie in the test's temporary directory (pytest --basetemp=DIR keeps them at hand).
"""

import re
import subprocess
import sys
import time

import pytest

from gan_lab.loggers.tensorboard_writer import TensorBoardWriter
from gan_lab.reports.analysis.charts import CURVES
from gan_lab.reports.export import tensorboard
from tests.page_helpers import wide_report

pytestmark = pytest.mark.slow

# Everything a person can read, through all shadow roots; what is in no box is not visible.
_TEXT = """
function texts(node, out) {
  if (node.nodeType === Node.TEXT_NODE) {
    const text = node.textContent.trim();
    if (text && node.parentElement && node.parentElement.getClientRects().length) out.push(text);
  }
  if (node.nodeName === 'STYLE' || node.nodeName === 'SCRIPT') return out;
  if (node.shadowRoot) texts(node.shadowRoot, out);
  node.childNodes.forEach(child => texts(child, out));
  return out;
}
return texts(document.body, []).join('\\n');
"""
# All elements of a kind, through all shadow roots.
_ALL = """
function all(node, name, out) {
  if (node.nodeType === Node.ELEMENT_NODE && node.matches(name)) out.push(node);
  if (node.shadowRoot) all(node.shadowRoot, name, out);
  node.childNodes && node.childNodes.forEach(child => all(child, name, out));
  return out;
}
"""
_CARDS = "tf-custom-scalar-margin-chart-card, tf-custom-scalar-multi-line-chart-card"


@pytest.fixture
def serve_directory(tmp_path):
    """A function: the address of a directory under the dashboard command, without its tab."""
    running = []

    def serve(directory):
        command = [sys.executable, "-m", "gan_lab", "dashboard", str(directory), "port=0"]
        process = subprocess.Popen(
            [*command, "open=false"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        running.append(process)
        line = process.stdout.readline()
        url = re.search(r"(http://127\.0\.0\.1:\d+/)\?\S+#custom_scalars", line)
        assert url, line
        return url[1]

    yield serve
    for process in running:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()


def text(driver):
    return driver.execute_script(_TEXT)


def wait(driver, condition, what, seconds=60):
    """Waits until a text on the page says so; TensorBoard loads in the background."""
    end = time.monotonic() + seconds
    while not condition(page_text := text(driver)):
        assert time.monotonic() < end, f"{what}: {page_text[-3000:]}"
        time.sleep(0.3)
    return page_text


def matches(page_text):
    return [int(n) for n in re.findall(r"Matches \((\d+)\)", page_text)]


def errors(driver):
    """What the console complains about, but for fonts that TensorBoard wants from elsewhere."""
    entries = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    return [entry for entry in entries if "font" not in entry["message"].lower()]


@pytest.fixture
def report(tmp_path_factory):
    return wide_report(tmp_path_factory.mktemp("pictures"))


def test_a_comparison_is_shown_on_all_pages(tmp_path, serve_directory, browser, report):
    tensorboard.write(report, tmp_path / "comparison" / "tensorboard")
    url = serve_directory(tmp_path / "comparison")
    driver = browser(1500, 1400)
    n_charts = len(report.sections[0].charts)

    driver.get(f"{url}#custom_scalars")
    page_text = wait(driver, lambda s: len(m := matches(s)) == n_charts and min(m) >= 3, "charts")
    time.sleep(1)
    driver.save_screenshot(str(tmp_path / "custom_scalars.png"))
    floors = [c.floor is not None for c in report.sections[0].charts]
    assert matches(page_text) == [3 + floor for floor in floors]
    places = [page_text.index(chart.title) for chart in report.sections[0].charts]
    assert places == sorted(places)
    assert "Missing Tags" not in page_text
    assert "do not match" not in page_text
    kinds = f"{_ALL} return all(document.body, '{_CARDS}', []).map(e => e.localName)"
    assert set(driver.execute_script(kinds)) == {"tf-custom-scalar-margin-chart-card"}

    driver.get(f"{url}#hparams")
    page_text = wait(driver, lambda s: "trainer.n_critic" in s and "Trial ID" in s, "table")
    time.sleep(2)
    driver.save_screenshot(str(tmp_path / "hparams.png"))
    page_text = text(driver)
    assert "modes/covered" in page_text

    driver.get(f"{url}#images")
    page_text = wait(driver, lambda s: s.count("samples") >= 3, "pictures")
    time.sleep(2)
    driver.save_screenshot(str(tmp_path / "images.png"))

    driver.get(f"{url}#text")
    page_text = wait(driver, lambda s: "Which is better" in s and "saturation" in s, "words")
    time.sleep(1)
    driver.save_screenshot(str(tmp_path / "text.png"))
    assert "KL(data || samples)" in page_text
    assert errors(driver) == []


def test_a_run_has_its_own_bands_and_shares_charts_with_a_comparison(
    tmp_path, serve_directory, browser, report
):
    tensorboard.write(report, tmp_path / "compare" / "tensorboard")
    writer = TensorBoardWriter(tmp_path / "train" / "run")
    writer.layout(tensorboard.layout())
    for step in range(0, 2000, 100):
        row = {"divergence/js": 0.3, "divergence/js_low": 0.2, "divergence/js_high": 0.4}
        writer.scalars(step, {**row, "loss/generator": 1.0 + step / 500})
    writer.close()
    driver = browser(1500, 1400)
    driver.get(f"{serve_directory(tmp_path / 'train')}#custom_scalars")
    page_text = wait(driver, lambda s: sum(matches(s)) == 2, "a run alone")
    time.sleep(1)
    driver.save_screenshot(str(tmp_path / "run.png"))
    assert "Missing Tags" not in page_text
    assert len(matches(page_text)) == len(tensorboard.layout())

    driver.get(f"{serve_directory(tmp_path)}#custom_scalars")
    # The comparison's curves twice where a run of one seed has no band of its own: once as lines of
    # everything, once as bands; otherwise everything is in one chart.
    charts = report.sections[0].charts
    own = [CURVES[chart.tag].interval for chart in charts]
    n_charts = len(tensorboard.layout()) + own.count(False)
    wait(driver, lambda s: len(matches(s)) == n_charts and max(matches(s)) == 5, "both")
    time.sleep(1)
    driver.save_screenshot(str(tmp_path / "both.png"))
    # 3 groups wherever a chart is theirs, the floor beside them where there is one, 2 of the run.
    in_charts = sum(4 if interval else 2 * 3 for interval in own) + 2
    wait(driver, lambda s: sum(matches(s)) == in_charts, f"{in_charts} curves in both")
    assert errors(driver) == []
