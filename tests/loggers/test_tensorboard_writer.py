"""What TensorBoard's pages are given: folders, the order of columns, layouts apart."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.summary.writer.record_writer import RecordWriter

from gan_lab.loggers.base import Chart
from gan_lab.loggers.tensorboard_writer import TensorBoardWriter, _masked_sum
from tests.loggers.hparams_table import session_groups

ROW = {
    "divergence/js": 0.5,
    "divergence/js_low": 0.25,
    "divergence/js_high": 0.75,
    "divergence/js_floor": 0.0,
    "clock/images": 128.0,
    "time/train_seconds": 2.0,
}
W1 = "final/divergence/wasserstein"


def tags_of(directory):
    return EventAccumulator(str(directory)).Reload().Tags()["scalars"]


def test_ends_of_intervals_are_in_the_last_folder_and_clocks_in_none(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    writer.scalars(3, ROW)
    writer.close()
    log = EventAccumulator(str(tmp_path)).Reload()
    values = {tag: [(e.step, e.value) for e in log.Scalars(tag)] for tag in tags_of(tmp_path)}
    assert values == {
        "divergence/js": [(3, 0.5)],
        "divergence/js_floor": [(3, 0.0)],
        "time/train_seconds": [(3, 2.0)],
        "zz_intervals/divergence/js_low": [(3, 0.25)],
        "zz_intervals/divergence/js_high": [(3, 0.75)],
    }
    assert max(values).startswith("zz_intervals/")


def test_a_margin_chart_reads_the_ends_where_they_are_written(tmp_path):
    writer = TensorBoardWriter(tmp_path)
    writer.layout([Chart("Better?", "JS", "divergence/js", has_band=True)])
    writer.scalars(3, ROW)
    writer.close()
    [chart] = layout(tmp_path).category[0].chart
    [series] = chart.margin.series
    assert {series.value, series.lower, series.upper} <= set(tags_of(tmp_path))


def test_a_layout_is_a_file_of_its_own_and_stays_after_a_resume(tmp_path):
    for resume_step in (None, 3):
        writer = TensorBoardWriter(tmp_path, resume_step)
        writer.layout([Chart("Better?", "JS", "divergence/js", has_band=True)])
        writer.scalars(3 if resume_step is None else 4, ROW)
        writer.close()
    assert len(layout(tmp_path).category) == 1
    page = EventMultiplexer().AddRun(str(tmp_path), "run").Reload()
    assert len(page.Tensors("run", custom_scalars.CONFIG_SUMMARY_TAG)) == 1
    [file] = tmp_path.glob("*.layout")
    file.unlink()
    assert (
        custom_scalars.CONFIG_SUMMARY_TAG
        not in EventAccumulator(str(tmp_path)).Reload().Tags()["tensors"]
    )


def layout(directory):
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    [event] = EventAccumulator(str(directory)).Reload().Tensors(custom_scalars.CONFIG_SUMMARY_TAG)
    return Layout.FromString(event.tensor_proto.string_val[0])


@pytest.mark.parametrize(
    ("values", "expected"), [([0.5], 0.5), ([0.5, 0.25], 0.25), ([float("nan")], None), ([], None)]
)
def test_w1_of_the_end_is_a_column_of_the_table(values, expected, tmp_path):
    writer = TensorBoardWriter(tmp_path / "run")
    writer.hparams({"loss": "hinge"}, ["time/train_seconds"])
    writer.session_end("running")
    for step, value in enumerate(values):
        writer.scalars(step, {W1: value, "divergence/wasserstein": 9.0})
    writer.session_end("success")
    writer.close()
    [group] = session_groups(tmp_path)
    assert ("W1" in group.hparams) == (expected is not None)
    if expected is not None:
        assert group.hparams["W1"].number_value == expected


def test_a_headline_among_the_metrics_is_the_column_and_no_other(tmp_path):
    writer = TensorBoardWriter(tmp_path / "run")
    writer.hparams({"loss": "hinge"}, ["final/divergence/energy", "time/train_seconds"])
    writer.scalars(0, {W1: 0.5, "final/divergence/energy": 0.25, "divergence/energy": 9.0})
    writer.session_end("success")
    writer.close()
    [group] = session_groups(tmp_path)
    assert set(group.hparams) == {"Energy distance", "loss"}
    assert min(group.hparams) == "Energy distance"  # TensorBoard sorts them
    assert group.hparams["Energy distance"].number_value == 0.25
    assert [m.name.tag for m in group.metric_values] == []


@given(st.binary(max_size=300))
def test_a_record_is_the_one_of_tensorboards_own_writer(data):
    own = io.BytesIO()
    RecordWriter(own).write(data)
    length = struct.pack("<Q", len(data))
    made = length + _masked_sum(length) + data + _masked_sum(data)
    assert made == own.getvalue()
