"""Every figure of every study can be read: no text cut off, on another one, or too small."""

import pytest

from gan_lab.cli.experiment import study_of
from gan_lab.config.catalogue import choices
from gan_lab.config.compose import compose_config
from gan_lab.experiments import runner
from gan_lab.experiments.dirac_gan.study import DiracGan
from gan_lab.reports.plots.style import canvas, house_style, label, legend_below, note_below
from tests.experiments.helpers import small_lab
from tests.figures import problems

# Overrides that make a measurement take seconds: what is drawn matters here, not what it says.
_TINY = {
    "best_and_last": ["steps=4", "n_looks=2", "n=100"],
    "critic_surfaces": ["steps=5", "deep_steps=5", "n_transport=64", "batch_size=32", "width=16"],
    "cross_entropy_gradients": ["n_starts=5", "fit_steps=20"],
    "curves_that_mean_something": ["steps=[12]", "n_points=6", "n=32", "warmup_steps=1"],
    "dirac_gan": ["field_points=7", "steps=60"],
    "divergence_zoo": ["fit_steps=20", "n_random=5"],
    "gan_1d": ["steps=10", "pictures=5"],
    "losses_on_images": [
        *("n_trials=[2,1]", "trial_seconds=[0.05,0.05]", "final_seconds=0.2", "n_looks=2"),
        "n_published=2",
    ],
    "mode_collapse": ["toy_steps=6", "toy_looks=3", "n=200", "floor_repeats=20", "toy_width=8"],
    "optimal_discriminator": ["steps=5", "critic_steps=5", "batch_size=16"],
    "parallel_segments": ["steps=[1,5,20]", "moves=10", "n_critic=[1,3]", "width=8"],
    "stacked_mnist": ["steps=2", "n=2000", "floor_repeats=5"],
    "w1_benchmark": [
        *("steps=5", "batch_size=16", "width=8", "n_judge=64", "n_samples=32"),
        *("neural_steps=2", "neural_n=400"),
    ],
    "vanishing_gradients": ["stages=[2,4]", "n_steps=12", "n_looks=4", "batch_size=8"],
}
# Whose measurement or figures take longest.
_SLOW = {"critic_surfaces", "dirac_gan", "gan_1d", "mode_collapse", "parallel_segments"}
_SLOW |= {"divergence_zoo", "vanishing_gradients", "w1_benchmark"}
_SLOW |= {"best_and_last", "losses_on_images", "stacked_mnist"}
_CASES = [
    pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ())
    for name in choices("experiment")
]
# Study -> figures, each expected to fail until it is mended.
_TO_MEND: dict[str, set[str]] = {}


def tiny_measurement(name, path):
    """Return a study, what it measured in some seconds and its configuration."""
    words = [f"experiment={name}", "quick=true", "n_seeds=2", *_TINY.get(name, [])]
    study, plain = study_of(compose_config("experiment", words))
    return study, study.measure(small_lab(path)), plain


@pytest.mark.parametrize("name", _CASES)
def test_every_figure_can_be_read(name, tmp_path):
    study, arrays, plain = tiny_measurement(name, tmp_path)
    with house_style():
        figures = runner.finished_figures(study, arrays, plain)
        found = {figure: problems(drawn) for figure, drawn in figures.items()}
    assert found
    bad = {figure: lines for figure, lines in found.items() if lines}
    unexpected = {figure: bad[figure] for figure in bad.keys() - _TO_MEND.get(name, set())}
    assert not unexpected, "\n".join(f"{k}: {line}" for k, v in unexpected.items() for line in v)
    assert _TO_MEND.get(name, set()) <= bad.keys(), "mended: take it off the list"


def bad_figure(fault):
    """Return a small figure that is good but for one fault, or for none."""
    figure, axes = canvas("A title", 1, 2, size=(4.0, 3.0))
    for panel in axes[0]:
        panel.plot([0, 1], [0, 1], label="a line")
        label(panel, "panel", "step", "share")
    left, right = axes[0]
    if fault == "cut":
        figure.suptitle("A title that is far longer than the figure is wide " * 3)
    elif fault == "overlap":
        left.text(0.5, 0.5, "one text")
        left.text(0.52, 0.5, "another")
    elif fault == "legend over a label":
        left.text(0.05, 0.9, "a remark", transform=left.transAxes)
        left.legend(loc="upper left")
    elif fault == "small":
        right.set_title("too small for the last row", fontsize=8)
    elif fault == "no ticks":
        right.set_yticks([])
    elif fault == "ticks without labels":
        right.set_yticks([0, 1], ["", ""])
    elif fault == "dense ticks":
        left.set_xticks([i / 30 for i in range(31)])
    return figure


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("cut", "leaves the canvas: 'A title"),
        ("overlap", "overlap: 'one text' and 'another'"),
        ("legend over a label", "overlap: 'a remark' and 'legend'"),
        ("small", "8 points: 'too small"),
        ("no ticks", "no ticks on y of 'panel'"),
        ("ticks without labels", "no ticks on y of 'panel'"),
        ("dense ticks", "overlap: '0.0"),
    ],
)
def test_a_bad_figure_is_found_and_a_good_one_is_not(fault, says):
    with house_style():
        assert problems(bad_figure(None)) == []
        found = problems(bad_figure(fault))
    assert any(line.startswith(says) for line in found), found


LONG = (
    "Too few seeds to tell which of the methods reaches more of the modes: 3, the full study has 5"
)


@pytest.mark.parametrize("has_legend", [True, False])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_long_title_label_legend_and_note_stay_on_the_figure(has_legend, columns):
    with house_style():
        figure, axes = canvas(f"{LONG}, a title of two lines", 1, columns, size=(5.0, 5.0))
        for panel in axes[0]:
            for i in range(5):
                panel.plot([0, 1], [i, 1], label=f"a method of {i} or some more")
            label(panel, "a panel with a title in two lines, say", "step " * 8, "share " * 4)
        if has_legend:
            legend_below(figure, axes[0, 0], 5)
        note_below(figure, LONG)
        note_below(figure, "Quick scale, 3 seeds.")
        assert problems(figure) == []
        texts = [figure.legends[0].get_title().get_text().replace("\n", " ")]
        assert texts == [f"{LONG} Quick scale, 3 seeds."]
        below = figure.legends[0].get_window_extent().y1
        assert below <= min(panel.get_tightbbox().y0 for panel in axes[0]) + 1


class OneFigure(DiracGan):
    """A study without work: one figure."""

    def figures(self, arrays):
        return {"one": bad_figure(None)}


def test_a_quick_study_says_so_on_every_figure_and_a_full_one_does_not():
    for quick, expected in ((True, [OneFigure().quick_note(2)]), (False, [])):
        with house_style():
            config = {"quick": quick, "n_seeds": 2}
            figure = runner.finished_figures(OneFigure(), {}, config)["one"]
        notes = [legend.get_title().get_text().replace("\n", " ") for legend in figure.legends]
        assert notes == expected
