"""The picture of a comparison: read from the last row, with nothing cut and nothing on top."""

import pytest

from gan_lab.reports.analysis import build
from gan_lab.reports.export import overview
from gan_lab.reports.plots.style import house_style
from tests.figures import problems
from tests.reports import prepared
from tests.reports.example_runs import CONFIG, run


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


@pytest.mark.parametrize("name", ["undecided", "best_and_end"])
def test_no_text_is_cut_and_none_overlaps(name, tmp_path):
    report, _ = build.report([prepared.write(tmp_path, *prepared.COMPARISONS[name])])
    with house_style():
        figure = overview.draw(report)
        assert problems(figure) == []
    said = " ".join(" ".join(texts(figure)).split())
    assert report.sections[0].verdict.headline in said
    assert "real data" in said
    assert "floor" not in said


def test_many_groups_and_several_data_sets_fit_too(tmp_path):
    for i in range(10):
        optim = {**CONFIG["optim"], "lr": 10.0 ** -(i + 1)}
        for seed in range(3):
            run(tmp_path / f"{i}_{seed}", seed, final=0.1 * 2**i + 0.01 * seed, optim=optim)
    digits = {"_target_": "gan_lab.data.digits.Digits", "n_held_out": 500}
    run(tmp_path / "digits", 0, data=digits)
    with house_style():
        assert problems(overview.draw(build.report([tmp_path])[0])) == []
