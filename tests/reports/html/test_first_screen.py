"""The first screen: numbers stand where they belong, pictures show the samples of the end."""

import re
from dataclasses import replace

import numpy as np
import pytest

from gan_lab.reports.analysis.model import Dot, Verdict, stack_levels
from gan_lab.reports.html import first_screen
from gan_lab.reports.plots import landscape
from tests.page_helpers import landscapes, pictures, section

LABELS = ("first", "second")


def plot(dots, real_data=0.1):
    comparison = replace(section("ring", LABELS), dots=dots, real_data=real_data)
    looks = {label: {"colour": "#0072B2", "dash": "solid"} for label in LABELS}
    return first_screen.dots(comparison, looks)


def places(source, pattern):
    return [float(x) for x in re.findall(pattern, source)]


MEANS, SEEDS = r'class="mean" cx="([\d.]+)%', r'class="seed-dot" cx="([\d.]+)%'
BARS, REAL = r'class="bar" x1="([\d.]+)%" x2="([\d.]+)%', r'class="real" style="left:([\d.]+)%'
TICKS = r'<line x1="([\d.]+)%" x2="[\d.]+%" y1="0" y2="5"/><text x="[\d.]+%" [^>]+>([^<]+)'


def test_dots_bars_ticks_and_real_data_are_on_one_linear_scale():
    dots = [Dot("first", 1.0, 0.8, 1.2, [0.9, 1.1]), Dot("second", 2.0, 1.5, 2.5, [1.7, 2.3])]
    source = plot(dots, 0.5)
    (start, end), (x, y) = places(source, MEANS), (1.0, 2.0)

    def at(value):
        return start + (value - x) / (y - x) * (end - start)

    assert places(source, SEEDS) == pytest.approx([at(v) for v in (0.9, 1.1, 1.7, 2.3)], abs=0.03)
    bars = [float(v) for each in re.findall(BARS, source) for v in each]
    assert bars == pytest.approx([at(v) for v in (0.8, 1.2, 1.5, 2.5)], abs=0.03)
    assert places(source, REAL) == pytest.approx([at(0.5)], abs=0.03)  # one line for all rows
    ticks = re.findall(TICKS, source)
    assert len(ticks) >= 3
    for place, text in ticks:
        assert float(place) == pytest.approx(at(float(text)), abs=0.03)
    # Everything is inside, and the outermost are near the edges.
    assert 1 < at(0.5) < 6
    assert 94 < at(2.5) < 99


def test_numbers_over_decades_are_on_a_logarithmic_scale_that_says_so():
    dots = [Dot("first", 0.1, -1.0, 0.3, [0.1]), Dot("second", 10.0, 5.0, 20.0, [10.0])]
    source = plot(dots, 1.0)
    low, high = places(source, MEANS)
    assert places(source, REAL)[0] == pytest.approx((low + high) / 2, abs=0.03)
    assert "logarithmic" in source
    assert re.findall(BARS, source)[0][0] == "0.0"  # what is not positive begins at the edge
    assert "logarithmic" not in plot([Dot("first", 1.0, 0.9, 1.1, [1.0])])


@pytest.mark.parametrize("high", [1.01, 1.06, 1.3, 1.7, 2, 4, 9, 19, 21, 60, 500, 1e5, 1e21])
def test_every_scale_has_two_to_seven_ticks(high):
    dots = [Dot("first", 1.0, np.nan, np.nan, [1.0]), Dot("second", high, np.nan, np.nan, [high])]
    ticks = re.findall(TICKS, plot(dots, None))
    assert 2 <= len(ticks) <= 7
    assert all(0 < float(place) < 100 for place, _ in ticks)


def test_a_wide_interval_does_not_press_the_dots_together():
    dots = [Dot("first", 1.0, -99.0, 101.0, [0.9, 1.1]), Dot("second", 2.0, 1.9, 2.1, [2.0])]
    source = plot(dots, 0.5)
    first, second = places(source, MEANS)
    assert second - first > 20
    assert re.findall(BARS, source)[0] == ("0.0", "100.0")
    assert "goes on beyond it" in source
    assert "[-99, 101]" in source


@pytest.mark.parametrize("value", [0.0, -3.0, 7.0, 1e-9, 1e12])
def test_one_number_alone_has_a_place(value):
    source = plot([Dot("first", value, np.nan, np.nan, [value])], None)
    assert places(source, MEANS) == pytest.approx([50], abs=0.1)
    assert 'class="bar"' not in source
    assert "real data" not in source
    assert "Without a number: second." in source


def test_no_finite_number_is_no_plot():
    assert plot([]) == plot([Dot("first", np.nan, np.nan, np.nan, [])]) == ""


def samples(comparison, images=None):
    looks = {label: {"colour": "#0072B2", "dash": "solid"} for label in comparison.labels}
    return first_screen.samples(comparison, {"looks": looks, "pictures": images})


def test_one_picture_a_group_shows_the_points_of_its_last_step(tmp_path):
    paths = {"second": landscapes(tmp_path, 2, (0, 10)), "first": landscapes(tmp_path, 2, (0, 20))}
    source = samples(section("ring", LABELS, landscapes=paths))
    assert re.findall(r'data-group="(\w+)"', source) == ["first", "second"]
    assert re.findall(r"step (\d+)</span>", source) == ["20", "10"]
    content = landscape.load(paths["first"][20])
    for kind, mark in (("real", "m-3"), ("fake", "h0")):
        path = re.search(rf'class="{kind}-points" d="([^"]+)"', source)[1]
        points = np.array(re.findall(rf"M([\d.]+) ([\d.]+){mark}", path), float) / 200
        low, high = (np.array([content[a][i] for a in "xy"]) for i in (0, -1))
        expected = (content[kind] - low) / (high - low)
        np.testing.assert_allclose(points, expected * [1, -1] + [0, 1], atol=3e-4)


def test_samples_have_their_groups_colour_and_their_modes_are_counted(tmp_path):
    paths = {label: landscapes(tmp_path, 2, (0,), i) for i, label in enumerate(LABELS)}
    comparison = section("ring", LABELS, landscapes=paths, modes={"second": "7 of 8 modes"})
    colours = ("#0072B2", "#D55E00")
    looks = {n: {"colour": c, "dash": "solid"} for n, c in zip(LABELS, colours, strict=True)}
    source = first_screen.samples(comparison, {"looks": looks, "pictures": None})
    inks = re.findall(r'data-group="(\w+)" style="--ink:var\(--ink-(\w+)', source)
    assert inks == [("first", "0072B2"), ("second", "D55E00")]
    assert re.findall(r'sample-dot" style="--ink:var\(--ink-(\w+)', source) == ["0072B2", "D55E00"]
    assert re.findall(r'"sample-note">([^<]+)', source) == ["7 of 8 modes"]


def test_five_seeds_are_five_dots_though_all_have_one_number():
    dots = [Dot("first", 1.0, 0.9, 1.1, [1.0] * 5), Dot("second", 2.0, 1.9, 2.1, [1.9, 2.1])]
    circles = re.findall(r'class="seed-dot" cx="([\d.]+)%" cy="(\d+)" r="3"', plot(dots))
    assert len(circles) == len(set(circles)) == 7
    heights = sorted(int(y) for _, y in circles[:5])
    assert np.diff(heights).tolist() == [6] * 4  # 3 pixels of radius each
    assert {y for _, y in circles[5:]} == {"21"}


@pytest.mark.parametrize("near", [0.0, 0.5, 2.0])
def test_dots_of_one_level_are_apart_and_lie_low_where_there_is_room(near):
    places = np.random.default_rng(0).uniform(0, 10, size=9)
    levels = np.array(stack_levels(places, near))
    for level in set(levels):
        assert (np.diff(np.sort(places[levels == level])) >= near).all()
    assert (levels == 0).all() == (near == 0)


def test_number_and_interval_of_a_row_have_the_same_decimals():
    source = plot([Dot("first", 0.2, 0.188, 0.212, [0.2]), Dot("second", 0.95, 0.826, 1.07, [1.0])])
    assert "<strong>0.20</strong>" in source
    assert "[0.19, 0.21]" in source
    assert "<strong>0.95</strong>" in source
    assert "[0.83, 1.07]" in source


def test_the_plot_says_when_it_was_measured_and_whether_seeds_are_paired():
    comparison = replace(section("ring", LABELS), end="at the end of training (step 2000)")
    looks = {label: {"colour": "#0072B2", "dash": "solid"} for label in LABELS}
    source = first_screen.dots(comparison, looks)
    assert "W1 at the end of training (step 2000): left is better" in source
    assert "paired by seed" not in source
    paired = first_screen.dots(replace(comparison, is_paired=True), looks)
    assert "Bars and brackets: 95 % intervals; differences are paired by seed." in paired


def test_a_picture_says_what_it_leaves_out_and_a_torn_one_gives_way_to_the_one_before(tmp_path):
    paths = landscapes(tmp_path, 2, (0, 10, 20))
    content = landscape.load(paths[10])
    content["fake"][:3] = [[50, 0], [0, -50], [np.nan, 0]]
    landscape.save(content, paths[10])
    paths[20].write_bytes(paths[20].read_bytes()[:50])
    source = samples(section("ring", ("first",), landscapes={"first": paths}))
    assert "3 of 8 samples outside the frame" in source
    assert "Samples at the end, step 10, seed 0" in source


def test_densities_on_a_line_have_the_shares_of_the_samples(tmp_path):
    paths = landscapes(tmp_path, 1, (0,))
    source = samples(section("line", ("first",), landscapes={"first": paths}))
    content = landscape.load(paths[0])
    heights = {}
    for kind in ("real", "fake"):
        path = re.search(rf'class="{kind}-density" d="([^"]+)"', source)[1]
        heights[kind] = 1 - np.array(re.findall(r"L[\d.]+ ([\d.]+)H", path), float) / 200
        window = content["x"][[0, -1]]
        shares, _ = np.histogram(content[kind], 48, window)
        np.testing.assert_allclose(heights[kind] > 0, shares > 0)
    assert heights["real"].max() == pytest.approx(1 / 1.6, abs=0.01)


def test_images_are_shown_once_and_a_group_without_them_is_named(tmp_path):
    from gan_lab.reports.html import embed

    comparison = section("images", LABELS, pictures={"first": pictures(tmp_path)})
    images = embed.pictures(comparison, 10**6)
    uri = images["groups"][0]["snapshots"][-1]["image"]
    source = samples(comparison, images)
    assert source.count(uri) == 1
    assert images["groups"][0]["snapshots"][-1]["image"] is None
    assert "No pictures: second." in source


def test_every_kind_of_verdict_has_its_colour():
    for kind, colour in (
        *(("better", "good"), ("undecided", "open"), ("too_few_seeds", "open")),
        *(("one_group", "note"), ("no_result", "bad")),
    ):
        comparison = replace(section("ring", LABELS), verdict=Verdict(kind, "words", "sentence"))
        assert f'class="badge {colour}">words<' in first_screen.badge(comparison)


@pytest.mark.parametrize(
    ("side", "is_cropped"), [(8, True), (6, True), (7, False), (4, False), (0, False)]
)
def test_of_many_small_images_the_first_rows_are_shown_large(side, is_cropped, tmp_path):
    comparison = replace(section("mnist", LABELS), grid_side=side)
    snapshot = {"step": 10, "image": "data:image/png;base64,AAAA"}
    groups = [{"label": label, "snapshots": [dict(snapshot)]} for label in LABELS]
    source = samples(comparison, {"groups": groups})
    assert source.count('<div class="crop"><img') == 2 * is_cropped
    assert source.count("<img") == 2
    assert (f"The first of {side**2}; all are below." in source) == is_cropped
    assert ('class="sample-row wide"' in source) == is_cropped


def test_real_images_stand_beside_the_samples_and_not_beside_points(tmp_path):
    real = pictures(tmp_path, (0,), name="real")[0]
    comparison = replace(section("mnist", LABELS), real_picture=real)
    snapshot = {"step": 10, "image": "data:image/png;base64,AAAA"}
    groups = [{"label": label, "snapshots": [dict(snapshot)]} for label in LABELS]
    source = samples(comparison, {"groups": groups})
    assert source.count("<img") == 3
    assert source.index("real-sample") > source.rindex('data-group="')
    assert "--n:3" in source
    (tmp_path / "torn.png").write_bytes(real.read_bytes()[:40])
    torn = replace(comparison, real_picture=tmp_path / "torn.png")
    assert "real-sample" not in samples(torn, {"groups": [dict(each) for each in groups]})
    points = replace(comparison, landscapes={"first": landscapes(tmp_path, 2, (0,))})
    assert "real-sample" not in samples(points)
