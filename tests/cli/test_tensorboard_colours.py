"""A choice has one colour everywhere, in TensorBoard too."""

import json
import re
import zipfile

import pytest

from gan_lab.cli.tensorboard_colours import _CHANGES, pages, read_colours
from gan_lab.reports.export import tensorboard
from gan_lab.reports.plots.style import GREY
from tests.page_helpers import LABELS, wide_report

COLOURS = {"wgan_gp": "#0072B2", "real data": "#6B6B6B"}


def page(name, colours):
    with pages(colours)() as file, zipfile.ZipFile(file) as archive:
        return archive.read(name).decode()


def test_a_comparison_leaves_the_colours_of_its_page(tmp_path):
    report = wide_report(tmp_path)
    tensorboard.write(report, tmp_path / "runs")
    folders = tensorboard.names(report)
    [section] = report.sections
    expected = {folders[section.name, n][1]: section.styles[n].colour for n in LABELS}
    assert read_colours(tmp_path / "runs") == {"real data": GREY, **expected}


def test_the_installed_pages_ask_for_colours(tmp_path):
    """Of another version, whose pages read otherwise, this fails; its own pages are shown then."""
    script = page("gan_lab.js", COLOURS)
    assert json.loads(re.search(r"colours = (\{.*?\});", script)[1]) == COLOURS
    for name, changes in _CHANGES.items():
        text = page(name, COLOURS)
        assert all(text.count(after) == 1 for _, after in changes)


def test_each_run_of_a_choice_has_its_colour():
    pattern = re.search(r"match = /(.*)/\.exec", page("gan_lab.js", COLOURS))[1]
    names = {
        "mean/wgan_gp": "wgan_gp",
        "ring/mean/wgan_gp": "wgan_gp",
        "ring/wgan_gp/seed_12": "wgan_gp",
        "defaultExperimentId/ring/wgan_gp/seed_0": "wgan_gp",
        "real data": "real data",
        "digits/real data": "real data",
    }
    for run, name in names.items():
        assert name in re.search(pattern.replace(r"\/", "/"), run).groups()
    assert re.search(pattern, "verdict and tables") is None


def test_without_colours_or_with_other_pages_tensorboards_own_are_served(monkeypatch):
    assert pages({}) is None
    monkeypatch.setitem(_CHANGES, "index.js", (("no such expression", ""),))
    assert pages(COLOURS) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "#00FF7f"}', {"a": "#00FF7f"}),
        ('{"a": "red", "b": 1, "c": "#00FF7f;"}', {}),
        ("[1]", {}),
        ("{", {}),
        (None, {}),
    ],
)
def test_what_is_no_colour_is_left_out(text, expected, tmp_path):
    if text is not None:
        (tmp_path / "colours.json").write_text(text)
    assert read_colours(tmp_path) == expected
