"""TensorBoard's log without TensorFlow and without a writer thread that a full disk kills."""

from __future__ import annotations

import math
import re
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import google_crc32c
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.util.tensor_util import make_tensor_proto

from gan_lab.loggers.base import Chart, Status
from gan_lab.loggers.jsonl import AppendFile
from gan_lab.runs.headline import HEADLINES, WASSERSTEIN
from gan_lab.runs.run_dir import atomic_write, plain

# TensorBoard sorts folders by name: the ends of intervals, for margin charts alone, come last.
INTERVALS = "zz_intervals"
# A column of the HParams table. TensorBoard sorts choices by name, capitals first, and puts metrics
# to the right of them, off a small screen: among the choices the result is the first column.
_JSONL_ONLY = ("clock/",)  # x axes of comparisons, which read metrics.jsonl


class TensorBoardWriter:
    """One run in TensorBoard: a directory with an HParams row and series.

    TensorBoard reads the files of a directory in the order of their names: the HParams row and the
    layout first, then the series, one file for each time the run was started. A record is with the
    kernel when a call returns. Every method may raise OSError; what was written before stays
    readable.

    Args:
        directory: Created when missing.
        resume_step: Step that the run continues from; TensorBoard drops what comes after it. None
            for a new run.
    """

    def __init__(self, directory: Path, resume_step: int | None = None) -> None:
        starts = len(list(directory.glob("*.series")))
        self._series = AppendFile(directory / f"events.out.tfevents.{starts + 1:010d}.series")
        self._series.write(_record(file_version="brain.Event:2"))
        # A START makes TensorBoard drop this step and later ones, except a run's first START, which
        # drops nothing: a new run says one too, or its first resume would double steps.
        first = 0 if resume_step is None else resume_step + 1
        self._series.write(_record(first, session_log=SessionLog(status=SessionLog.START)))
        self._session_path = directory / f"events.out.tfevents.{0:010d}.hparams"
        self._layout_path = directory / f"events.out.tfevents.{0:010d}.layout"
        self._experiment: Any = None
        self._headline = WASSERSTEIN
        self._result = math.nan  # the headline at the end
        self._start: Any = plugin_data_pb2.SessionStartInfo()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write all values of a step in one record, as float32, without the clocks."""
        self.update_result(values)
        curves = {shown_tag(t): x for t, x in values.items() if not t.startswith(_JSONL_ONLY)}
        self._show(step, *(Summary.Value(tag=t, simple_value=x) for t, x in curves.items()))

    def update_result(self, values: Mapping[str, float]) -> None:
        """Take the headline at the end from a row; one that measures it and goes on has none."""
        if self._headline in values or f"final/{self._headline}" in values:
            self._result = values.get(f"final/{self._headline}", math.nan)

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Show a text (Markdown)."""
        plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = make_tensor_proto([text.encode()])
        self._show(step, Summary.Value(tag=tag, metadata=plugin, tensor=tensor))

    def png(self, tag: str, step: int, png: bytes) -> None:
        """Show a picture, the content of a PNG file."""
        width, height = struct.unpack(">II", png[16:24])  # of the header, which every PNG has first
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
        self._show(step, Summary.Value(tag=tag, image=image))

    def layout(self, charts: Sequence[Chart]) -> None:
        """Lay out the page of custom scalars, in a file of its own: a dashboard may leave it out.

        TensorBoard merges the layouts of all runs: charts that are equal appear once.
        """
        plugin = custom_scalars.create_summary_metadata()
        tensor = make_tensor_proto(_page(charts).SerializeToString())
        value = Summary.Value(tag=custom_scalars.CONFIG_SUMMARY_TAG, metadata=plugin, tensor=tensor)
        _replace(self._layout_path, Summary(value=[value]))

    def hparams(self, config: Mapping[str, Any], metrics: Iterable[str]) -> None:
        """Describe the run's row of the HParams table; `session_end` writes it, the headline first.

        Args:
            config: Flat, the same keys in every run. A bool, a number or a string a key; anything
                else is shown as text.
            metrics: Tags of the scalars that become columns, the same in every run. A headline
                among them is the first column.
        """
        start, self._start.start_time_secs = self._start, time.time()
        infos = []
        for name, value in config.items():
            value = plain(value)  # TensorBoard turns rows into JSON, which has no infinity
            if isinstance(value, bool):
                start.hparams[name].bool_value, kind = value, "BOOL"
            elif isinstance(value, int | float):
                start.hparams[name].number_value, kind = value, "FLOAT64"
            else:
                start.hparams[name].string_value, kind = str(value), "STRING"
            infos.append(api_pb2.HParamInfo(name=name, type=f"DATA_TYPE_{kind}"))
        finals = {f"final/{tag}": tag for tag in HEADLINES}
        metrics = list(metrics)
        self._headline = next((finals[t] for t in metrics if t in finals), self._headline)
        columns = [api_pb2.MetricInfo(name={"tag": t}) for t in metrics if t not in finals]
        self._experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=columns)

    def session_end(self, status: Status) -> None:
        """Write the row with a status; a TensorBoard that is open shows it after its next start.

        TensorBoard uses the first status that it reads, so a later one replaces the file: a run
        that failed, was resumed and succeeded has succeeded.
        """
        name = f"STATUS_{status.upper()}"
        end = plugin_data_pb2.SessionEndInfo(status=name, end_time_secs=time.time())
        last = _hparams_value(metadata.SESSION_END_INFO_TAG, session_end_info=end)
        first = [] if self._experiment is None else self._row()
        _replace(self._session_path, Summary(value=[*first, last]))

    def _row(self) -> list[Any]:
        """Return the columns of the table, the headline first, and the values of the run."""
        short = HEADLINES[self._headline]
        name = f"{short[0].upper()}{short[1:]}"  # capitals come before choices
        if math.isfinite(self._result):
            self._start.hparams[name].number_value = self._result
        infos = [api_pb2.HParamInfo(name=name, type="DATA_TYPE_FLOAT64")]
        experiment = api_pb2.Experiment(
            hparam_infos=[*infos, *self._experiment.hparam_infos],
            metric_infos=self._experiment.metric_infos,
        )
        start = _hparams_value(metadata.SESSION_START_INFO_TAG, session_start_info=self._start)
        return [_hparams_value(metadata.EXPERIMENT_TAG, experiment=experiment), start]

    def sync(self) -> None:
        """Wait until the series are on the disk."""
        self._series.sync()

    def close(self) -> None:
        """Close the series; a second call does nothing."""
        self._series.close()

    def _show(self, step: int, *values: Any) -> None:
        self._series.write(_record(step, summary=Summary(value=values)))


def shown_tag(tag: str) -> str:
    """Return the tag under which a scalar is shown: an interval's ends stand in the last folder."""
    return f"{INTERVALS}/{tag}" if tag.endswith(("_low", "_high")) else tag


def _page(charts: Sequence[Chart]) -> Layout:
    page = Layout()
    for title, group in groupby(charts, lambda chart: chart.category):
        category, each = page.category.add(title=title), list(group)
        for chart in (c for c in each if not c.has_band):
            pattern = f"^{re.escape(chart.tag)}$"  # a regular expression
            category.chart.add(title=chart.title).multiline.tag.append(pattern)
        # Margin charts appear in reverse: TensorBoard puts each new card before a child that it
        # counts wrongly, since a card has two children, an empty one for the other kind of chart.
        for chart in reversed([c for c in each if c.has_band]):
            lower, upper = (shown_tag(f"{chart.tag}_{end}") for end in ("low", "high"))
            ends = {"lower": lower, "upper": upper}
            category.chart.add(title=chart.title).margin.series.add(value=chart.tag, **ends)
    return page


def _hparams_value(tag: str, **data: Any) -> Any:
    plugin = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**data))
    return Summary.Value(tag=tag, metadata=plugin, tensor=metadata.NULL_TENSOR)


def _replace(path: Path, summary: Any) -> None:
    atomic_write(path, _record(file_version="brain.Event:2") + _record(summary=summary))


def _record(step: int = 0, **fields: Any) -> bytes:
    """Return an event as a record of TFRecord, as TensorBoard's RecordWriter makes it.

    That one sums up bytes in Python: 2 ms for a small picture.
    """
    data = Event(wall_time=time.time(), step=step, **fields).SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + _masked_sum(length) + data + _masked_sum(data)


def _masked_sum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
