"""The page and the Markdown say what the report says, whole, safe and small."""

import base64
import hashlib
import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from gan_lab.reports.analysis.model import Band
from gan_lab.reports.export import markdown
from gan_lab.reports.html import document, embed, page
from gan_lab.reports.plots import landscape
from tests.page_helpers import NASTY, band, chart, landscapes, pictures, report, section

ASSETS = Path(page.__file__).parent / "assets"
VOID = {"meta", "link", "img", "input", "br", "line", "circle", "path"}


class Outline(html.parser.HTMLParser):
    """Elements with their attributes, the text outside scripts, and elements without an end."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.scripts, self.text, self.open = [], [], "", []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif "style" not in self.open:
            self.text += data

    def all(self, tag, **filters):
        required = {key.rstrip("_"): value for key, value in filters.items()}
        attributes = (a for t, a in self.elements if t == tag)
        return [a for a in attributes if all(a.get(k) == v for k, v in required.items())]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def source(comparison):
    return page.render(comparison)


@pytest.fixture(scope="module")
def outline(source):
    return Outline(source)


@pytest.fixture(scope="module")
def data(outline):
    return json.loads(outline.scripts[0])


def floats(data, index):
    return np.frombuffer(base64.b64decode(data["arrays"][index]), "<f4")


def test_every_element_is_closed_and_every_word_of_the_report_is_there(comparison, outline):
    assert outline.open == []
    words = [comparison.title, comparison.question, comparison.origin]
    words += [*comparison.notes, *comparison.method]
    for each in comparison.sections:
        words += [each.name, each.verdict.badge, each.verdict.headline, *each.verdict.details]
        words += [*each.sentences, *each.labels, each.tables[0].note]
        words += [sentence for part in each.parts for sentence in part.sentences]
        words += [h for e in each.events for h in (e.kind, e.numbers, e.explanation, e.advice)]
    for word in words:
        assert word in outline.text, word


def test_the_answer_comes_first_then_curves_budgets_why_and_the_rest_folded(source):
    body = source[source.index("<body>") : source.index('data-section="1"')]
    marks = (
        *('class="badge good"', "is better.", 'class="dots"', 'class="samples"'),
        *('class="before"', "<details>", "diverged"),
        *('class="chapter curves"', 'class="chart"', 'class="chapter budgets"', "<table"),
        *('class="chapter animation"', 'class="chapter why"', 'class="events"'),
        'class="chapter details"',
    )
    places = [body.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "<details>" in body[places[-1] :]


def test_a_page_of_one_section_says_its_verdict_once_and_has_no_contents(comparison):
    one = replace(comparison.sections[1], sentences=())
    result = Outline(page.render(replace(comparison, sections=[one])))
    assert result.text.count("On line the first is better.") == 1
    assert result.all("nav") == []


def test_several_sections_have_all_badges_first_with_links_that_lead_to_them(source, outline):
    targets = [a["href"][1:] for a in outline.all("a")]
    assert targets == ["section-0", "section-1", "section-2"]
    assert set(targets) <= {a.get("id") for _, a in outline.elements}
    contents = source[source.index("<nav") : source.index("</nav>")]
    assert contents.count("The first is better") == 3


def test_a_label_cannot_end_a_script_or_become_an_element(source, outline, data):
    assert len(outline.scripts) == 3
    assert not set("<>&") & set(outline.scripts[0])
    assert list(data["sections"][0]["looks"]) == ["minimax", NASTY]
    assert outline.all("b") == []
    assert any(a.get("data-label") == NASTY for _, a in outline.elements)


def test_nothing_points_outside_the_page(outline):
    for tag, attrs in outline.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    for path in ASSETS.glob("*.css"):
        assert "@import" not in path.read_text()
        assert "url(" not in path.read_text()


def test_the_policy_allows_the_pages_own_scripts_and_no_others(outline):
    (policy,) = outline.all("meta", **{"http-equiv": "Content-Security-Policy"})
    policy = policy["content"]
    assert policy.startswith("default-src 'none';")
    hashes = re.findall(r"'sha256-([^']+)'", policy)
    ours = [hashlib.sha256(script.encode()).digest() for script in outline.scripts[1:]]
    assert list(map(base64.b64decode, hashes)) == ours
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_the_page_is_small_and_a_pure_function_of_the_report(comparison, source, tmp_path):
    page.write(comparison, tmp_path / "page.html")
    file_bytes = (tmp_path / "page.html").read_bytes()
    assert file_bytes == source.encode()
    rest = len(file_bytes) - len(get_plotlyjs().encode())
    assert 0 < rest < 200_000


def test_the_curves_of_a_page_are_those_of_the_report(comparison, data):
    theirs = comparison.sections[0].charts[0]
    ours = data["sections"][0]["charts"][0]
    assert (ours["title"], ours["unit"], ours["floor"]) == (theirs.title, theirs.unit, 0.25)
    assert list(ours["bands"]) == list(theirs.bands)
    for axis, bands in theirs.bands.items():
        for label, curve in bands.items():
            columns = [floats(data, i) for i in ours["bands"][axis][label]]
            expected_columns = (curve.x, curve.mean, curve.low, curve.high, curve.n)
            for a, b in zip(columns, expected_columns, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)


def test_what_is_not_finite_becomes_null_or_a_gap_and_never_a_word(comparison, tmp_path):
    x = np.arange(1.0, 4.0)
    gap = Band(x, np.array([1, np.nan, np.inf]), x * np.nan, x * np.nan, np.ones(3))
    odd = chart(["a"], bands={"step": {"a": gap}}, floor=float("nan"))
    source = page.render(replace(comparison, sections=[section("odd", ["a"], charts=[odd])]))
    text_of_data = Outline(source).scripts[0]
    assert not re.search(r"NaN|Infinity", text_of_data)
    data = json.loads(text_of_data)
    (result,) = data["sections"][0]["charts"]
    assert result["floor"] is None
    mean = floats(data, result["bands"]["step"]["a"][1])
    np.testing.assert_array_equal(mean, [1, np.nan, np.inf])
    text = document.script_json({"a": [float("nan"), -float("inf"), 2]})
    assert json.loads(text) == {"a": [None, None, 2]}


def test_long_curves_are_thinned_evenly_with_both_ends_and_a_note(comparison):
    bands = {"step": {"a": band(np.arange(1, 5001), 0)}}
    long = section("long", ["a"], charts=[chart(["a"], bands=bands)])
    charts, arrays, limit = embed.curves([long])
    x = np.frombuffer(base64.b64decode(arrays[charts[0][0]["bands"]["step"]["a"][0]]), "<f4")
    assert limit == len(x) == 400
    assert (x[0], x[-1]) == (1, 5000)
    assert set(np.diff(x)) == {12, 13}
    note = "Curves on this page show at most 400 points"
    assert note in page.render(replace(comparison, sections=[long]))
    assert note not in page.render(replace(comparison, sections=[section("short", ["a"])]))


def test_many_long_curves_stay_under_their_budget():
    labels = [f"group {i}" for i in range(8)]
    noise = np.random.default_rng(0)
    curves = {
        axis: {k: Band(*noise.normal(size=(4, 2000)).cumsum(1), np.full(2000, 8)) for k in labels}
        for axis in ("step", "images", "seconds")
    }
    charts = []
    for i in range(20):
        bands = {
            axis: {label: replace(curve, mean=curve.mean + i) for label, curve in each.items()}
            for axis, each in curves.items()
        }
        charts.append(chart(labels, bands=bands))
    _, arrays, limit = embed.curves([section("many", labels, charts=charts)])
    assert 50 <= limit <= 400
    assert sum(map(len, arrays)) <= embed.CURVE_BYTES


def test_an_animation_has_one_clock_and_a_group_that_ended_early_keeps_its_own_steps(data):
    result = data["sections"][0]["landscapes"]
    assert result["steps"] == [0, 10, 20]
    assert [[s["step"] for s in g["snapshots"]] for g in result["groups"]] == [[0, 10, 20], [0, 10]]
    assert len(result["real"]) == 1  # the same data in all snapshots, once


def test_quantised_landscapes_are_the_landscapes_to_half_a_level(comparison, data):
    path = comparison.sections[0].landscapes["minimax"][10]
    content = landscape.load(path)
    snapshot = data["sections"][0]["landscapes"]["groups"][0]["snapshots"][1]
    low, high = snapshot["range"]
    span = high - low
    levels = np.frombuffer(base64.b64decode(snapshot["logit"]), np.uint8).reshape(snapshot["shape"])
    logit = low + levels / 254 * span
    # Half a level, and the four digits of the printed range.
    np.testing.assert_allclose(logit, content["logit"], atol=span * (0.5 / 254 + 2e-3))
    points = np.frombuffer(base64.b64decode(snapshot["fake"]), "<u2").reshape(-1, 2) / 65534
    start, end = np.array(snapshot["window"]).T
    np.testing.assert_allclose(start + points * (end - start), content["fake"], atol=1e-3)
    # The landscape is -|x - c|^2 / 2, so its gradient is c - x; arrows keep the direction.
    arrows = np.frombuffer(base64.b64decode(snapshot["arrow"]), np.int8).reshape(-1, 2)
    gradients = 1.0 - content["fake"]
    cosine = (arrows * gradients).sum(1) / np.linalg.norm(arrows, axis=1)
    np.testing.assert_allclose(cosine / np.linalg.norm(gradients, axis=1), 1, atol=1e-3)
    norm = np.linalg.norm(gradients, axis=1).mean()
    assert snapshot["gradient_norm"] == pytest.approx(norm, rel=2e-3)


def test_a_landscape_keeps_what_is_not_finite_apart_and_a_flat_one_flat():
    levels, low, high = embed.quantize_logits(np.array([[-1.0, np.inf], [np.nan, 3.0]]))
    assert levels.tolist() == [[0, 255], [255, 254]]
    assert (low, high) == (-1, 3)
    for value, level in ((7.0, 0), (np.nan, 255)):
        levels, *ends = embed.quantize_logits(np.full((2, 2), value))
        assert (levels == level).all()
        np.testing.assert_array_equal(ends, value)


def test_samples_outside_the_window_are_counted(tmp_path):
    path = landscapes(tmp_path, 2, (0,))[0]
    content = landscape.load(path)
    content["fake"][:3] = [[50, 0], [0, -50], [np.nan, 0]]
    landscape.save(content, path)
    result = embed.landscapes(section("out", ["a"], landscapes={"a": {0: path}}), 10**6)
    assert result["groups"][0]["snapshots"][0]["outside"] == 3


def test_a_torn_landscape_costs_itself_and_not_the_page(tmp_path):
    paths = landscapes(tmp_path, 2)
    paths[10].write_bytes(paths[10].read_bytes()[:100])
    result = embed.landscapes(section("torn", ["a"], landscapes={"a": paths}), 10**6)
    assert [f["step"] for f in result["groups"][0]["snapshots"]] == [0, 20]
    paths[0].write_bytes(b"")
    paths[20].unlink()
    assert embed.landscapes(section("torn", ["a"], landscapes={"a": paths}), 10**6) is None


def test_eight_groups_of_48_landscapes_are_under_four_megabytes(tmp_path):
    noise = np.random.default_rng(0)
    window = np.linspace(-2, 2, 40)
    paths = {f"group {i}": {s: tmp_path / f"{i}_{s}.npz" for s in range(48)} for i in range(8)}
    still = {"x": window, "y": window, "real": window[:, None].repeat(2, 1)}
    for path in (path for files in paths.values() for path in files.values()):
        shapes = {"logit": (40, 40), "fake": (256, 2), "arrow": (64, 2)}
        np.savez(path, **still, **{name: noise.normal(size=n) for name, n in shapes.items()})
    result = embed.landscapes(section("many", list(paths), landscapes=paths), embed.MEDIA_BYTES)
    assert len(result["steps"]) == 48
    assert result["dropped"] == 0
    assert 500_000 < len(document.script_json(result)) < 4_000_000


def test_pictures_over_their_budget_lose_steps_then_pixels_but_never_the_last(tmp_path):
    paths = pictures(tmp_path, range(0, 200, 10), size=(100, 100))
    big = section("big", ["a"], pictures={"a": paths})
    whole = embed.pictures(big, 10**7)
    assert (whole["dropped"], whole["scale"]) == (0, 1)
    few, small = embed.pictures(big, 500_000), embed.pictures(big, 100_000)
    assert few["dropped"] > 0
    assert few["scale"] == 1 > small["scale"]
    for result, budget in ((few, 500_000), (small, 100_000)):
        steps = [f["step"] for f in result["groups"][0]["snapshots"]]
        assert (steps[0], steps[-1]) == (0, 190)
        assert len(json.dumps(result)) < budget * 1.02


def test_landscapes_are_shown_instead_of_pictures_of_the_same(data, outline):
    kinds = [a["data-kind"] for a in outline.all("section") if "data-kind" in a]
    assert kinds == ["landscape", "landscape", "pictures"]
    assert data["sections"][2]["landscapes"] is None
    last = data["sections"][2]["pictures"]["groups"][0]["snapshots"][-1]
    assert last["image"] is None  # it is in the page itself, shown without a script
    assert len([a for a in outline.all("img") if "src" in a]) == 1


def test_controls_have_names(outline):
    label_indices = [i for i, (t, _) in enumerate(outline.elements) if t == "label"]
    for i, (tag, attrs) in enumerate(outline.elements):
        if tag in ("input", "select"):
            has_name = "aria-label" in attrs or any(0 < i - k <= 2 for k in label_indices)
            assert has_name, attrs
        if tag in ("img",):
            assert attrs["alt"]
    assert outline.all("html", lang="en")


def test_the_wheel_carries_the_assets():
    root = Path(page.__file__).parents[3]
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(root))
    files_of_wheel = {file.distribution_path for file in builder.recurse_included_files()}
    for path in (*ASSETS.iterdir(), *ASSETS.parents[1].glob("plots/*.html")):
        assert path.relative_to(root).as_posix() in files_of_wheel
        assert path.read_text(encoding="utf-8").isascii()
        assert len(path.read_text().splitlines()) <= 300


def test_markdown_says_what_the_page_says_with_tables_that_hold(comparison):
    result = markdown.markdown(comparison)
    assert result.startswith("# A comparison\n\n*Which is better?*\n")
    assert "- minimax, seed 3: diverged at step 7 (loss is nan)." in result
    assert "**The first is better.** On plane the first is better.\n" in result
    assert "\n- By little.\n" in result
    assert "- **collapse**: Few modes. Fewer steps." in result
    assert "- generator: log(1 - D(G(z)))" in result
    head = "| group | W1 (data units) |\n| --- | --- |\n"
    assert f"{head}| **minimax** | 0.5 \\[0.4, 0.6\\] |" in result
    assert "</script>" not in result
    assert markdown.markdown(comparison) == result


def test_a_bar_in_a_label_does_not_break_a_table():
    odd = section("odd", ["KL(a || b)", "*x*\ny"])
    lines = "\n".join(markdown._section(odd, False)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 4
    for row in rows:
        assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "**\\*x\\* y**" in rows[3]
