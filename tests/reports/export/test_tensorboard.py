"""A comparison as TensorBoard reads it back."""

import html
import math
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from tensorboard import plugin_util
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata as hparams

from gan_lab.loggers.run_logger import RunLogger
from gan_lab.loggers.tensorboard_writer import shown_tag
from gan_lab.reports.analysis.charts import CURVES, QUESTIONS
from gan_lab.reports.analysis.model import Table
from gan_lab.reports.export import tensorboard
from gan_lab.runs.run_dir import RunDir
from tests.loggers.hparams_table import session_groups
from tests.page_helpers import LABELS, wide_report

NAMES = ("minimax", "wasserstein_gradient_penalty", "hinge_regularizer=none_r1")
RUNS = [tensorboard.FLOOR, tensorboard.WORDS, *(f"mean/{name}" for name in NAMES)]
OTHERS = {tensorboard.FLOOR, tensorboard.WORDS}


def read(path):
    limits = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(path), size_guidance=limits).Reload()


def end_of(tag, end):
    """Where an interval's end is shown: in the last folder of all."""
    return f"zz_intervals/{tag}_{end}"


def scalars(log, tag):
    return {event.step: event.value for event in log.Scalars(tag)}


def layout_of(log):
    [event] = log.Tensors(custom_scalars.CONFIG_SUMMARY_TAG)
    return Layout.FromString(event.tensor_proto.string_val[0])


def text_of(log, tag):
    [event] = log.Tensors(tag)
    return event.tensor_proto.string_val[0].decode()


def as_float32(xs, ys):
    return {int(x): float(np.float32(y)) for x, y in zip(xs, ys, strict=True)}


@pytest.fixture(scope="module")
def report_and_runs(tmp_path_factory):
    """A report of two data sets and the directory of its runs."""
    home = tmp_path_factory.mktemp("comparison")
    (home / "pictures").mkdir()
    report = wide_report(home / "pictures", ("ring", "digits"))
    tensorboard.write(report, home / "tensorboard")
    return report, home / "tensorboard"


def test_every_group_of_every_section_is_a_run(report_and_runs):
    _, home = report_and_runs
    for section in ("ring", "digits"):
        assert {path.name for path in (home / section).iterdir()} == {"mean", *OTHERS}
        assert {path.name for path in (home / section / "mean").iterdir()} == set(NAMES)


def test_scalars_are_the_bands_at_their_steps(report_and_runs):
    report, home = report_and_runs
    for section in report.sections:
        for label, name in zip(LABELS, NAMES, strict=True):
            log = read(home / section.name / "mean" / name)
            expected_tags = {f"final/{tag}" for tag in section.finals[label]}
            for chart in section.charts:
                tag = f"{section.name}/{chart.tag}"  # two data sets never share a chart
                band = chart.bands["step"][label]
                alone = math.isnan(band.low[0])  # one seed: a band without width
                ends = (band.mean, band.mean) if alone else (band.low, band.high)
                assert alone == (label == LABELS[-1])
                assert scalars(log, tag) == as_float32(band.x, band.mean)
                assert scalars(log, end_of(tag, "low")) == as_float32(band.x, ends[0])
                assert scalars(log, end_of(tag, "high")) == as_float32(band.x, ends[1])
                expected_tags |= {tag, end_of(tag, "low"), end_of(tag, "high")}
                if chart.floor is not None:
                    floors = as_float32(band.x, np.full(len(band.x), chart.floor))
                    assert scalars(log, f"{tag}_floor") == floors
                    expected_tags.add(f"{tag}_floor")
            assert set(log.Tags()["scalars"]) == expected_tags


def test_a_point_without_a_mean_is_left_out_and_infinity_is_kept(tmp_path):
    report = wide_report(tmp_path)
    band = report.sections[0].charts[0].bands["step"]["minimax"]
    band.mean[3] = math.nan
    band.mean[4] = band.high[4] = math.inf
    tensorboard.write(report, tmp_path / "runs")
    log = read(tmp_path / "runs" / "mean" / "minimax")  # one section has no level of its own
    tag = report.sections[0].charts[0].tag
    for end in ("", "_low", "_high"):
        assert sorted(scalars(log, shown_tag(tag + end))) == [x for x in band.x if x != band.x[3]]
    assert scalars(log, tag)[band.x[4]] == scalars(log, end_of(tag, "high"))[band.x[4]] == math.inf


def test_the_floor_is_a_line_from_the_first_step_to_the_last(report_and_runs):
    report, home = report_and_runs
    log = read(home / "ring" / tensorboard.FLOOR)
    charts = [chart for chart in report.sections[0].charts if chart.floor is not None]
    assert len(charts) == 4
    floors = as_float32([0, 49 * 50], [0.15, 0.15])
    for chart in charts:
        for end in ("", "_low", "_high"):
            assert scalars(log, shown_tag(f"ring/{chart.tag}{end}")) == floors
    assert len(log.Tags()["scalars"]) == 3 * len(charts)


def test_all_runs_have_one_layout_and_it_names_what_they_have(report_and_runs):
    report, home = report_and_runs
    places = [home / section / run for section in ("ring", "digits") for run in RUNS]
    runs = list(map(read, places))
    page = layout_of(runs[0])
    assert all(layout_of(run) == page for run in runs)
    titles = [f"{section}: {q.title}" for section in ("ring", "digits") for q in QUESTIONS]
    assert [category.title for category in page.category] == titles
    tags_on_page = []
    for category in page.category:
        section = category.title.partition(":")[0]
        groups = [read(home / section / "mean" / name) for name in NAMES]
        for chart in reversed(category.chart):  # TensorBoard shows margin charts in reverse
            assert not chart.multiline.tag
            [series] = chart.margin.series
            assert (series.lower, series.upper) == (
                end_of(series.value, "low"),
                end_of(series.value, "high"),
            )
            for log in groups:
                assert {series.value, series.lower, series.upper} <= set(log.Tags()["scalars"])
            assert CURVES[series.value.removeprefix(f"{section}/")].title in chart.title
            tags_on_page.append(series.value)
    assert tags_on_page == [f"{s.name}/{c.tag}" for s in report.sections for c in s.charts]


def test_a_chart_that_answers_no_known_question_has_a_category_of_its_own(tmp_path):
    report = wide_report(tmp_path)
    section = report.sections[0]
    other = replace(section.charts[0], tag="time/x", title="A", unit="", question="Is it fast?")
    section = replace(section, charts=[other, *section.charts])
    tensorboard.write(replace(report, sections=[section]), tmp_path / "runs")
    last = layout_of(read(tmp_path / "runs" / "mean" / "minimax")).category[-1]
    assert (last.title, [chart.title for chart in last.chart]) == ("Is it fast?", ["A"])


@pytest.mark.parametrize("has_features", [False, True])
def test_a_run_shows_its_own_intervals_and_lines_where_it_has_none(has_features, tmp_path):
    run = RunDir(tmp_path)
    logger = RunLogger(run, 0)
    layout = tensorboard.layout(has_features)
    logger.layout(layout)
    for step in (0, 10):
        logger.scalars(step, {"loss/generator": 1.0, "loss/generator_other": 2.0})
    logger.close()
    RunLogger(run, 0, resume_step=0).close()
    log = read(run.tensorboard)
    page = layout_of(log)
    titles = [(c.title, chart.title) for c in page.category for chart in c.chart]
    assert sorted(titles) == sorted((c.category, c.title) for c in layout)
    kinds = {}
    for category in page.category:
        for chart in category.chart:
            kinds |= {series.value: True for series in chart.margin.series}
            for pattern in chart.multiline.tag:
                # The page matches from the beginning on; one tag and no longer one is meant.
                tag = pattern.removeprefix("^").removesuffix("$").replace("\\", "")
                assert re.match(pattern, tag)
                assert not re.match(pattern, f"{tag}_other")
                assert not re.match(pattern, f"other/{tag}")
                kinds[tag] = False
    costs = dict.fromkeys(tensorboard._COSTS, False)
    shown = {t: c for t, c in CURVES.items() if has_features or not c.is_of_features}
    assert kinds == {tag: curve.interval for tag, curve in shown.items()} | costs


def test_groups_are_rows_of_the_hparams_table_with_the_final_numbers(report_and_runs):
    report, home = report_and_runs
    groups = session_groups(home)
    assert len(groups) == 6
    for group in groups:
        [session] = group.sessions
        section, _, name = session.name.split("/")
        label = LABELS[NAMES.index(name)]
        [data] = [s for s in report.sections if s.name == section]
        choices = {"W1", "data", "group", "loss", "trainer.n_critic"}
        assert dict(group.hparams.items()).keys() == choices
        assert group.hparams["W1"].number_value == data.finals[label]["divergence/wasserstein"]
        assert group.hparams["data"].string_value == section
        assert group.hparams["loss"].string_value == data.choices[label]["loss"]
        # A number in every group is a number; as a text 10 would come before 2.
        assert group.hparams["trainer.n_critic"].number_value == 1 + LABELS.index(label)
        metrics = {metric.name.tag: metric.value for metric in session.metric_values}
        assert metrics == {"final/modes/covered": data.finals[label]["modes/covered"]}


def test_the_table_shows_seven_columns_and_w1_first(tmp_path):
    report = wide_report(tmp_path)
    finals = {label: {"a": 1.0, "neural_distance/js": 2.0, "b": 3.0} for label in LABELS}
    finals["minimax"]["divergence/wasserstein"] = 4.0  # the others diverged, say
    choices = {label: dict.fromkeys(("lr", "loss._target_", "x", "y"), label) for label in LABELS}
    section = replace(report.sections[0], finals=finals, choices=choices)
    tensorboard.write(replace(report, sections=[section]), tmp_path / "runs")
    content = read(tmp_path / "runs" / "mean" / "minimax").SummaryMetadata(hparams.EXPERIMENT_TAG)
    experiment = hparams.parse_experiment_plugin_data(content.plugin_data.content)
    tags = ["final/neural_distance/js", "final/a"]
    assert [m.name.tag for m in experiment.metric_infos] == tags
    names = [info.name for info in experiment.hparam_infos]
    assert names == ["W1", "group", "lr", "loss", "x"]
    assert min(names) == "W1"  # TensorBoard sorts them
    w1 = {
        group.hparams["group"].string_value: group.hparams["W1"].number_value
        for group in session_groups(tmp_path / "runs")
    }
    assert w1 == {"minimax": 4.0, LABELS[1]: 0.0, LABELS[2]: 0.0}


def test_pictures_are_the_files_under_one_tag_at_their_steps(report_and_runs):
    report, home = report_and_runs
    for label, name in zip(LABELS, NAMES, strict=True):
        images = read(home / "ring" / "mean" / name).Images("samples")
        files = report.sections[0].pictures[label].items()
        expected = {step: path.read_bytes() for step, path in files}
        assert {i.step: i.encoded_image_string for i in images} == expected
        assert {(image.width, image.height) for image in images} == {(160, 120)}


def test_words_are_markdown(report_and_runs):
    _, home = report_and_runs
    log = read(home / "ring" / tensorboard.WORDS)
    verdict = text_of(log, "comparison/01 verdict")
    assert "On ring the first is better.\n\nBy little." in verdict
    table = text_of(log, "comparison/02 At the end").splitlines()
    assert table[2:5] == [
        r"| group | KL(data \|\| samples) |",
        "| --- | --- |",
        "| minimax | 0.5 [0.4, 0.6] |",
    ]
    assert text_of(log, "comparison/03 notes") == "- A note."
    group = read(home / "ring" / "mean" / "minimax")
    assert text_of(group, "loss_card") == "- generator: log(1 - D(G(z)))\n- A remark."
    assert "| 400 | 2 | saturation | norm 1e-8 |" in text_of(group, "events")
    assert "events" not in read(home / "ring" / "mean" / NAMES[1]).Tags()["tensors"]


STRANGE = (
    *("f(x) <= 1 | y", "a_b_c * d * e", "wasserstein_clip, _target_"),
    *("\\log `x`", "<b>&amp;", "**x**"),
)


@pytest.mark.parametrize("text", STRANGE)
def test_markdown_shows_what_was_said(text):
    source = plugin_util.markdown_to_safe_html(tensorboard._plain(text))
    assert html.unescape(source).strip() == f"<p>{text}</p>"
    table = tensorboard._markdown(Table("", "", ("a", "b"), [(text, "1")]))
    cells = re.findall("<td>(.*?)</td>", plugin_util.markdown_to_safe_html(table))
    assert list(map(html.unescape, cells)) == [text, "1"]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["a/b", "a_b", "A/B"], ["a_b", "a_b_2", "a_b_3"]),
        (["..", "", "x" * 300], ["group", "group_2", "x" * 100]),
        (["mean", "W\n\u00e9"], ["mean_2", "w"]),
        (["WGAN-GP, lr=1e-4", "non-saturating"], ["wgan_gp_lr=1e-4", "non_saturating"]),
    ],
)
def test_every_label_has_a_safe_name_of_its_own(labels, names):
    assert tensorboard._names(labels, others=["mean"]) == names


def test_writing_again_replaces_the_runs_and_nothing_else(tmp_path):
    report = wide_report(tmp_path)
    notes = tmp_path / "runs" / "notes.txt"
    for _ in range(2):
        tensorboard.write(report, tmp_path / "runs")
        notes.write_text("mine")
    log = read(tmp_path / "runs" / "mean" / "minimax")
    assert len(log.Scalars(report.sections[0].charts[0].tag)) == 50
    assert notes.read_text() == "mine"


def test_a_large_comparison_takes_seconds(tmp_path):
    # 8 groups x 17 curves x 250 points; a file with a record a scalar would take minutes.
    labels = [f"group {i}" for i in range(8)]
    report = wide_report(tmp_path, labels=labels, n_points=250, n_curves=9)
    begin = time.perf_counter()
    tensorboard.write(report, tmp_path / "runs")
    assert time.perf_counter() - begin < 10
    assert (
        read(tmp_path / "runs" / "mean" / "group_7").Scalars("divergence/js")[-1].step == 249 * 50
    )
