"""A run's records: strict JSON, the same in TensorBoard, kept by resumes, lost only in the open."""

import errno
import json
import math
import os
import shutil

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import api_pb2, metadata

from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import AppendFile, read_metrics
from gan_lab.loggers.lost_records import LostRecords
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.reports.plots.samples import encode_png
from gan_lab.runs import checkpoint, run_dir
from gan_lab.runs.headline import WASSERSTEIN
from gan_lab.runs.run_dir import RunDir
from tests.helpers import RING, train
from tests.loggers.hparams_table import session_groups

TAG = "loss/generator"


def raise_full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def writer(run):
    return EventAccumulator(str(run.tensorboard), size_guidance={"scalars": 0}).Reload()


def series(run, tag=TAG):
    """The series as TensorBoard's two readers see it; they purge by different rules."""
    scalars = [(event.step, event.value) for event in writer(run).Scalars(tag)]
    page = EventMultiplexer(tensor_size_guidance={"scalars": 0}).AddRun(str(run.tensorboard), "run")
    events_of_tag = page.Reload().Tensors("run", tag)
    assert [(event.step, event.tensor_proto.float_val[0]) for event in events_of_tag] == scalars
    return scalars


def record(run, steps, resume_step=None):
    logger = RunLogger(run, 3, resume_step=resume_step)
    for step in steps:
        logger.scalars(step, {TAG: step / 3, "gradient/norm": -step})
        logger.event(step, "saved", path="x")
    return logger


@pytest.fixture
def run(tmp_path):
    return RunDir(tmp_path / "run")


def test_every_line_is_strict_json_and_infinity_is_a_word(run):
    logger = RunLogger(run, 0)
    values = {TAG: 1 / 3, "a": math.inf, "b": -math.inf, "c": math.nan, "d": np.float32(0.1)}
    logger.scalars(100, values)
    logger.close()
    [line] = run.metrics.read_text().splitlines()
    words = {"a": "inf", "b": "-inf", "c": "nan", "d": float(np.float32(0.1))}
    expected = {"step": 100, "seed": 0, TAG: 1 / 3} | words
    assert json.loads(line, parse_constant=refuse) == expected
    assert list(json.loads(line)) == list(expected)
    [back] = read_metrics(run.metrics)
    assert (back["a"], back["b"], back[TAG]) == (math.inf, -math.inf, 1 / 3)
    assert math.isnan(back["c"])


def test_tensorboard_holds_the_series_of_metrics_jsonl(run):
    # More than the 10,000 that TensorBoard samples. Neither flushed nor closed: kill -9 loses
    # nothing that a call returned from.
    logger = record(run, range(10_200))
    lines = read_metrics(run.metrics)
    assert [line["step"] for line in lines] == list(range(10_200))
    for tag in (TAG, "gradient/norm"):
        # TensorBoard's scalars are float32; nothing else may differ.
        assert series(run, tag) == [(line["step"], float(np.float32(line[tag]))) for line in lines]
    logger.close()


@pytest.mark.parametrize("tail", [b'{"step": 6, "se', b"\0" * 50, b'{"step": 6, "x": "\xc3', b""])
def test_a_resumed_runs_records_equal_the_uninterrupted_runs(run, tmp_path, tail):
    whole = RunDir(tmp_path / "whole")
    record(whole, range(1, 9)).close()
    record(run, range(1, 6)).close()
    with open(run.metrics, "ab") as file:
        file.write(tail)
    [log] = run.tensorboard.glob("*.series")
    with open(log, "ab") as file:
        file.write(b"\x20\0\0\0")  # a kill inside a TensorBoard record
    record(run, range(4, 8), resume_step=3).close()
    record(run, range(7, 9), resume_step=6).close()
    assert run.metrics.read_bytes() == whole.metrics.read_bytes()
    assert [event["step"] for event in read_metrics(run.events)] == list(range(1, 9))
    assert series(run) == series(whole)


def test_a_new_run_refuses_the_metrics_of_an_earlier_one(run):
    RunLogger(run, 0).close()  # a run that died before its first record is no obstacle
    record(run, [1]).close()
    before = run.metrics.read_bytes()
    with pytest.raises(ConfigError, match="holds the metrics of an earlier run"):
        RunLogger(run, 0)
    assert run.metrics.read_bytes() == before


def test_read_metrics_leaves_out_only_a_torn_last_line(run):
    record(run, [1, 2]).close()
    whole = run.metrics.read_bytes()
    run.metrics.write_bytes(whole[:-1])  # only the newline is missing: the record is whole
    assert len(read_metrics(run.metrics)) == 2
    run.metrics.write_bytes(whole[:-2])
    assert len(read_metrics(run.metrics)) == 1
    run.metrics.write_bytes(b"{torn\n" + whole)
    with pytest.raises(ConfigError, match="record 1 is no JSON object"):
        read_metrics(run.metrics)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_metrics(run.path / "missing.jsonl")


def test_images_texts_and_events_can_be_read_back(run):
    logger = RunLogger(run, 5)
    array = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    logger.image("samples/grid", 10, encode_png(array))
    logger.text("about", "a *ring*")
    logger.event(10, "skipped", reason="it is empty", low=-math.inf)
    for wrong in (b"", array.tobytes(), b"GIF89a"):
        with pytest.raises(ValueError, match="the content of a PNG file"):
            logger.image("samples/grid", 10, wrong)
    logger.close()
    log = writer(run)
    [image] = log.Images("samples/grid")
    assert (image.step, image.width, image.height) == (10, 5, 4)
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert log.Tensors("about")[0].tensor_proto.string_val == [b"a *ring*"]
    [events_of_tag] = log.Tensors("events/skipped")
    assert events_of_tag.tensor_proto.string_val == [b"- **reason**: it is empty\n- **low**: -inf"]
    [event] = read_metrics(run.events)
    assert event.pop("time").endswith("+00:00")
    fields = {"reason": "it is empty", "low": -math.inf}
    assert event == {"step": 10, "seed": 5, "kind": "skipped"} | fields


CONFIG = {"loss": "hinge", "n_critic": 5, "lr": 1e-3, "ema": False, "low": -math.inf, "drop": None}


def test_a_run_is_one_row_of_tensorboards_own_hparams_table(run):
    logger = record(run, [])
    logger.hparams(CONFIG, [TAG])
    logger.scalars(7, {TAG: 0.5})
    logger.close()
    [group] = session_groups(run.path.parent)
    hparams = dict(group.hparams.items())
    assert hparams["loss"].string_value == "hinge"
    assert hparams["n_critic"].number_value == 5
    assert hparams["lr"].number_value == 1e-3
    assert hparams["ema"].WhichOneof("kind") == "bool_value"
    assert (hparams["low"].string_value, hparams["drop"].string_value) == ("-inf", "None")
    [session] = group.sessions
    assert session.status == api_pb2.STATUS_RUNNING
    [metric] = session.metric_values
    assert (metric.name.tag, metric.value, metric.training_step) == (TAG, 0.5, 7)
    log = EventMultiplexer().AddRun(str(run.tensorboard), "run").Reload().GetAccumulator("run")
    content = log.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    assert [info.name for info in experiment.hparam_infos] == ["W1", *CONFIG]
    types = [api_pb2.DataType.Name(info.type)[10:] for info in experiment.hparam_infos]
    assert types == ["FLOAT64", "STRING", "FLOAT64", "FLOAT64", "BOOL", "STRING", "STRING"]
    assert [info.name.tag for info in experiment.metric_infos] == [TAG]
    content = log.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    assert metadata.parse_session_start_info_plugin_data(content).start_time_secs > 1e9


def test_the_last_status_of_a_run_counts(run):
    logger = record(run, [1])
    logger.hparams(CONFIG, [TAG])
    logger.session_end("failure")
    logger.close()
    assert session_groups(run.path.parent)[0].sessions[0].status == api_pb2.STATUS_FAILURE
    logger = record(run, [2], resume_step=1)
    logger.hparams(CONFIG | {"n_critic": 2}, [TAG])
    logger.session_end("success")
    logger.close()
    [group] = session_groups(run.path.parent)
    assert [session.status for session in group.sessions] == [api_pb2.STATUS_SUCCESS]
    assert group.hparams["n_critic"].number_value == 2


def test_a_complete_run_that_goes_on_has_its_headline_in_the_table_again(run):
    logger = record(run, [])
    logger.hparams(CONFIG, [TAG])
    logger.scalars(1, {WASSERSTEIN: 0.5})
    logger.scalars(2, {WASSERSTEIN: 0.25, f"final/{WASSERSTEIN}": 0.125})
    logger.close()
    for resume_step, expected in ((2, 0.125), (1, None)):  # at its end, and before it
        logger = RunLogger(run, seed=5, resume_step=resume_step)
        logger.hparams(CONFIG, [f"final/{WASSERSTEIN}"])
        logger.session_end("success")
        logger.close()
        hparams = session_groups(run.path.parent)[0].hparams
        assert (hparams["W1"].number_value if "W1" in hparams else None) == expected


def test_a_full_disk_costs_records_and_never_the_training(run, monkeypatch, capsys):
    logger = record(run, [1])
    logger.hparams(CONFIG, [TAG])
    with monkeypatch.context() as patch:
        patch.setattr(run_dir.os, "write", raise_full)
        patch.setattr(run_dir.os, "fsync", raise_full)
        logger.scalars(2, {TAG: 0.0})  # 2 lost: the line and the summary
        logger.event(2, "saved")  # 2 lost
        logger.session_end("success")  # 1 lost
        logger.flush()  # 2 loggers that are not on the disk
    assert logger.lost_records == LostRecords(7, 2, 2, "No space left on device")
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "No space left" in warning
    logger.scalars(3, {TAG: 3.0})  # somebody made room
    logger.close()
    logger.close()
    assert logger.lost_records.writes == 7
    assert [line["step"] for line in read_metrics(run.metrics)] == [1, 3]
    assert [step for step, _ in series(run)] == [1, 3]


def test_no_picture_stays_that_was_not_written_in_full(run, capsys):
    logger, path = record(run, [1]), run.path / "picture"

    def tail(path):
        path.write_bytes(b"half")
        raise_full()

    logger.keep(path, 2, tail)
    assert not path.exists()
    assert (logger.lost_records.writes, logger.lost_records.last_step) == (1, 2)
    logger.keep(path, 3, lambda path: path.write_bytes(b"whole"))
    logger.close()
    assert path.read_bytes() == b"whole"
    assert capsys.readouterr().err.count("warning: ") == 1


def test_a_warning_that_cannot_be_said_stops_nothing(run, monkeypatch):
    logger = record(run, [1])
    with monkeypatch.context() as patch:
        patch.setattr("builtins.print", raise_full)
        patch.setattr(AppendFile, "write", raise_full)
        logger.scalars(2, {TAG: 0.0})
    assert logger.lost_records.writes == 2
    logger.close()


def test_records_of_a_removed_directory_are_lost_and_said_so(run, capsys):
    logger = record(run, [1])
    shutil.rmtree(run.path)
    logger.scalars(2, {TAG: 0.0})
    assert logger.lost_records == LostRecords(2, 2, 2, "No such file or directory")
    assert "was removed" in capsys.readouterr().err
    logger.close()


@pytest.mark.parametrize(
    ("resume_step", "expected_records"),
    [(None, LostRecords()), (4, LostRecords()), (7, LostRecords(3, 5, 7, "full"))],
)
def test_what_was_lost_for_good_is_remembered(run, resume_step, expected_records):
    """Records after the checkpoint are written again."""
    run.create().write_status(lost=vars(LostRecords(3, 5, 9, "full")))
    logger = RunLogger(run, 0, resume_step=resume_step)
    logger.close()
    assert logger.lost_records == expected_records


def test_what_is_lost_is_said_while_the_run_goes_on_and_in_its_parent(workdir, monkeypatch):
    home, write, save = RunDir(workdir / "run"), AppendFile.write, checkpoint.save
    statuses = []

    def full(self, line):
        mine = self.path == home.child(1).metrics
        if mine and json.loads(line)["step"] in (3, 14):
            raise_full()
        write(self, line)

    def save_and_read(path, content):
        save(path, content)
        statuses.append([each.read_status().get("lost") for each in (home, *home.children())])

    monkeypatch.setattr(AppendFile, "write", full)
    monkeypatch.setattr(checkpoint, "save", save_and_read)
    keys = ("n_seeds=2", "trainer.log_every=1", "trainer.checkpoint_every=5", "trainer.steps=20")
    train("run", *RING, *keys, "evaluator.every=50")
    one = {"writes": 1, "first_step": 3, "last_step": 3, "why": "No space left on device"}
    assert [one, None, one] in statuses
    both = {**one, "writes": 2, "last_step": 14}
    now = [each.read_status()["lost"] for each in (home, *home.children())]
    assert now == [both, None, both]


def test_without_tensorboard_only_the_lines_are_written(run):
    logger = RunLogger(run, 0, tensorboard=False)
    logger.scalars(1, {TAG: 1.0})
    logger.event(1, "saved")
    logger.image("x", 1, encode_png(np.zeros((2, 2, 3), np.uint8)))
    logger.hparams({}, [])
    logger.session_end("success")
    logger.close()
    assert sorted(path.name for path in run.path.iterdir()) == ["events.jsonl", "metrics.jsonl"]
    assert logger.lost_records == LostRecords()


def test_a_disk_that_takes_a_part_of_a_record_keeps_none_of_it(tmp_path, monkeypatch):
    file, write, left = AppendFile(tmp_path / "metrics.jsonl"), os.write, 30

    def write_what_fits(fd, record):
        nonlocal left
        if not left:
            raise_full()
        part = record[:left]
        left -= len(part)
        return write(fd, part)

    whole, torn = b'{"step": 1, "seed": 0}\n', b'{"step": 2, "seed": 0}\n'
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_what_fits)
        file.write(whole)
        with pytest.raises(OSError, match="No space left"):
            file.write(torn)
    assert file.path.read_bytes() == whole
    file.write(torn)
    file.close()
    assert [row["step"] for row in read_metrics(file.path)] == [1, 2]
