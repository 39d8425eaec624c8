import errno
import json
import math
import shutil

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups, metadata

from gan_lab.engine.accumulator import Accumulator
from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import Lost, RunLogger, read_metrics
from gan_lab.runs import checkpoint, run_dir
from gan_lab.runs.checkpoint import load, save
from gan_lab.runs.run_dir import AppendFile, RunDir
from tests.run_helpers import RING, train

TAG = "loss/generator"


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def writer(run):
    return EventAccumulator(str(run.tensorboard), size_guidance={"scalars": 0}).Reload()


def series(run, tag=TAG):
    """The series as TensorBoard's two readers see it; they purge by different rules."""
    scalars = [(event.step, event.value) for event in writer(run).Scalars(tag)]
    page = EventMultiplexer(tensor_size_guidance={"scalars": 0}).AddRun(str(run.tensorboard), "run")
    shown = page.Reload().Tensors("run", tag)
    assert [(event.step, event.tensor_proto.float_val[0]) for event in shown] == scalars
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
    record(run, range(0, 12_000)).close()  # more than the 10,000 that TensorBoard samples
    lines = read_metrics(run.metrics)
    assert [line["step"] for line in lines] == list(range(12_000))
    for tag in (TAG, "gradient/norm"):
        # TensorBoard's scalars are float32; nothing else may differ.
        assert series(run, tag) == [(line["step"], float(np.float32(line[tag]))) for line in lines]


def test_records_survive_without_flush_or_close(run):
    logger = record(run, [1, 2])  # kill -9 loses nothing that a call returned from
    assert [line["step"] for line in read_metrics(run.metrics)] == [1, 2]
    assert [step for step, _ in series(run)] == [1, 2]
    logger.close()


@pytest.mark.parametrize("torn", [b'{"step": 6, "se', b"\0" * 50, b'{"step": 6, "x": "\xc3', b""])
def test_a_resume_keeps_the_checkpoints_step_and_drops_what_came_after(run, torn):
    record(run, range(1, 6)).close()
    before = run.metrics.read_bytes()
    with open(run.metrics, "ab") as file:
        file.write(torn)
    [log] = run.tensorboard.glob("*.series")
    with open(log, "ab") as file:
        file.write(b"\x20\0\0\0")  # a kill inside a TensorBoard record
    record(run, range(4, 8), resume_step=3).close()
    record(run, range(7, 9), resume_step=6).close()
    lines = read_metrics(run.metrics)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [event["step"] for event in read_metrics(run.events)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert series(run) == [(line["step"], float(np.float32(line[TAG]))) for line in lines]
    assert run.metrics.read_bytes().startswith(before[: before.index(b'{"step": 4')])


def test_a_resumed_runs_metrics_equal_the_uninterrupted_runs(run, tmp_path):
    whole = RunDir(tmp_path / "whole")
    record(whole, range(1, 10)).close()
    record(run, range(1, 8)).close()
    record(run, range(5, 10), resume_step=4).close()
    assert run.metrics.read_bytes() == whole.metrics.read_bytes()
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
    logger.image("samples/grid", 10, array)
    logger.text("about", "a *ring*")
    logger.event(10, "skipped", reason="it is empty", low=-math.inf)
    for wrong in (array[..., 0], array.astype(np.float32), array[..., :2]):
        with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
            logger.image("samples/grid", 10, wrong)
    logger.close()
    log = writer(run)
    [image] = log.Images("samples/grid")
    assert (image.step, image.width, image.height) == (10, 5, 4)
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert log.Tensors("about")[0].tensor_proto.string_val == [b"a *ring*"]
    [shown] = log.Tensors("events/skipped")
    assert shown.tensor_proto.string_val == [b"- **reason**: it is empty\n- **low**: -inf"]
    [event] = read_metrics(run.events)
    assert event.pop("time").endswith("+00:00")
    assert event == {"step": 10, "seed": 5, "kind": "skipped"} | {
        "reason": "it is empty",
        "low": -math.inf,
    }


def session_groups(root):
    """The rows that TensorBoard's own HParams page is given."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(root)).Reload()
    provider = MultiplexerDataProvider(multiplexer, str(root))
    context = backend_context.Context(TBContext(data_provider=provider))
    finished = [api_pb2.STATUS_RUNNING, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    request = api_pb2.ListSessionGroupsRequest(slice_size=10, allowed_statuses=finished)
    handler = list_session_groups.Handler(RequestContext(), context, "", request)
    return list(handler.run().session_groups)


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


def test_hparams_are_parsed_by_the_plugin(run):
    logger = record(run, [])
    logger.hparams(CONFIG, [TAG])
    logger.close()
    log = EventMultiplexer().AddRun(str(run.tensorboard), "run").Reload().GetAccumulator("run")
    content = log.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    assert [info.name for info in experiment.hparam_infos] == list(CONFIG)
    types = [api_pb2.DataType.Name(info.type)[10:] for info in experiment.hparam_infos]
    assert types == ["STRING", "FLOAT64", "FLOAT64", "BOOL", "STRING", "STRING"]
    assert [info.name.tag for info in experiment.metric_infos] == [TAG]
    content = log.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    assert metadata.parse_session_start_info_plugin_data(content).start_time_secs > 1e9


def test_a_full_disk_costs_records_and_never_the_training(run, monkeypatch, capsys):
    logger = record(run, [1])
    logger.hparams(CONFIG, [TAG])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_dir.os, "write", full)
        patch.setattr(run_dir.os, "fsync", full)
        logger.scalars(2, {TAG: 0.0})  # 2 lost: the line and the summary
        logger.event(2, "saved")  # 2 lost
        logger.session_end("success")  # 1 lost
        logger.flush()  # 3 files not on the disk
    assert logger.lost == Lost(8, 2, 2, "No space left on device")
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "No space left" in warning
    logger.scalars(3, {TAG: 3.0})  # somebody made room
    logger.close()
    logger.close()
    assert logger.lost.writes == 8
    assert [line["step"] for line in read_metrics(run.metrics)] == [1, 3]
    assert [step for step, _ in series(run)] == [1, 3]


def test_no_picture_stays_that_was_not_written_in_full(run, capsys):
    logger, path = record(run, [1]), run.path / "picture"

    def torn(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    logger.keep(path, 2, torn)
    assert not path.exists()
    assert (logger.lost.writes, logger.lost.last_step) == (1, 2)
    logger.keep(path, 3, lambda path: path.write_bytes(b"whole"))
    logger.close()
    assert path.read_bytes() == b"whole"
    assert capsys.readouterr().err.count("warning: ") == 1


def removed(*_, **__):
    raise FileNotFoundError(errno.ENOENT, "The file was removed")


def test_a_warning_that_cannot_be_said_stops_nothing(run, monkeypatch):
    logger = record(run, [1])
    with monkeypatch.context() as patch:
        patch.setattr("builtins.print", removed)
        patch.setattr(AppendFile, "write", removed)
        logger.scalars(2, {TAG: 0.0})
    assert logger.lost.writes == 2
    logger.close()


def test_records_of_a_removed_directory_are_lost_and_said_so(run, capsys):
    logger = record(run, [1])
    shutil.rmtree(run.path)
    logger.scalars(2, {TAG: 0.0})
    assert logger.lost == Lost(2, 2, 2, "No such file or directory")
    assert "was removed" in capsys.readouterr().err
    logger.close()


@pytest.mark.parametrize(
    ("resume_step", "known"), [(None, Lost()), (4, Lost()), (7, Lost(3, 5, 7, "full"))]
)
def test_what_was_lost_for_good_is_remembered(run, resume_step, known):
    """Records after the checkpoint are written again."""
    run.create().write_status(lost=vars(Lost(3, 5, 9, "full")))
    logger = RunLogger(run, 0, resume_step=resume_step)
    logger.close()
    assert logger.lost == known


def test_what_is_lost_is_said_while_the_run_goes_on_and_in_its_parent(workdir, monkeypatch):
    home, write, told, save = RunDir(workdir / "run"), AppendFile.write, [], checkpoint.save

    def full(self, line):
        mine = self.path == home.child(1).metrics
        if mine and json.loads(line)["step"] in (3, 14):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, line)

    def and_note(path, content):
        save(path, content)
        told.append([each.read_status().get("lost") for each in (home, *home.children())])

    monkeypatch.setattr(AppendFile, "write", full)
    monkeypatch.setattr(checkpoint, "save", and_note)
    keys = ("n_seeds=2", "trainer.log_every=1", "trainer.checkpoint_every=5", "trainer.steps=20")
    train("run", *RING, *keys, "evaluator.every=50")
    one = {"writes": 1, "first_step": 3, "last_step": 3, "why": "No space left on device"}
    assert [one, None, one] in told
    both = {**one, "writes": 2, "last_step": 14}
    now = [each.read_status()["lost"] for each in (home, *home.children())]
    assert now == [both, None, both]


def test_without_tensorboard_only_the_lines_are_written(run):
    logger = RunLogger(run, 0, tensorboard=False)
    logger.scalars(1, {TAG: 1.0})
    logger.event(1, "saved")
    logger.image("x", 1, np.zeros((2, 2, 3), np.uint8))
    logger.hparams({}, [])
    logger.session_end("success")
    logger.close()
    assert sorted(path.name for path in run.path.iterdir()) == ["events.jsonl", "metrics.jsonl"]
    assert logger.lost == Lost()


def values(step, n_seeds=3):
    generator = torch.Generator().manual_seed(step)
    a, b, c = torch.randn(3, n_seeds, generator=generator)
    return {"gradient_norm_max": a, "loss": b, "a_max": c, "zero": torch.zeros(n_seeds)}


def test_means_are_means_and_maxima_are_maxima():
    accumulator = Accumulator()
    for step in range(10):
        batch = values(step)
        batch = dict(reversed(batch.items())) if step % 2 else batch
        accumulator.add_(batch)
    means = accumulator.means()
    all_ = {tag: torch.stack([values(step)[tag].double() for step in range(10)]) for tag in means}
    torch.testing.assert_close(means["loss"], all_["loss"].mean(0), rtol=1e-14, atol=0)
    for tag in ("gradient_norm_max", "a_max"):
        assert torch.equal(means[tag], all_[tag].amax(0))
    assert torch.equal(means["zero"], torch.zeros(3, dtype=torch.float64))
    accumulator.reset_()
    assert accumulator.means() == {}
    accumulator.add_(values(4))
    assert torch.equal(accumulator.means()["loss"], values(4)["loss"].double())


def test_values_are_not_held_and_not_changed():
    accumulator = Accumulator()
    value = torch.ones(2, dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        accumulator.add_({"loss": value, "loss_max": value})
    means = accumulator.means()
    assert torch.equal(value, torch.ones_like(value))
    assert not means["loss"].requires_grad
    accumulator.add_({"loss": value, "loss_max": value * 5})
    assert torch.equal(means["loss_max"], torch.ones_like(means["loss_max"]))


def test_networks_may_report_at_different_rates_and_shapes_may_be_scalars():
    accumulator = Accumulator()
    accumulator.add_({})
    for step in range(6):
        accumulator.add_({"loss/discriminator": torch.tensor(float(step))})
    accumulator.add_({"loss/generator": torch.tensor(7, dtype=torch.bfloat16)})
    means = accumulator.means()
    assert {tag: value.item() for tag, value in means.items()} == {
        "loss/discriminator": 2.5,
        "loss/generator": 7.0,
    }
    accumulator.add_({"loss/generator": torch.tensor(1.0), "other": torch.tensor(1.0)})
    with pytest.raises(ValueError, match="loss/generator was added together with different"):
        accumulator.means()


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_is_never_hidden(bad):
    accumulator = Accumulator()
    for value in (1.0, bad, 2.0):
        accumulator.add_({"x": torch.tensor([value, 0.0]), "x_max": torch.tensor([value, 0.0])})
    means = accumulator.means()
    assert str(means["x"][0].item()) == str(bad)
    assert str(means["x_max"][0].item()) == str(max(bad, 2.0) if bad == bad else bad)
    assert means["x"][1] == 0


def test_adding_never_asks_the_device_for_a_number():
    # A meta tensor has no values: anything that would wait for one raises.
    accumulator = Accumulator()
    for _ in range(3):
        accumulator.add_(
            {"x": torch.empty(4, device="meta"), "x_max": torch.empty(4, device="meta")}
        )
    accumulator.reset_()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_adding_on_the_gpu_does_not_synchronise():
    accumulator = Accumulator()
    accumulator.load_state_dict([{"tags": ["x", "x_max"], "total": torch.ones(2, 4), "count": 1}])
    batch = {"x": torch.ones(4, device="cuda"), "x_max": torch.ones(4, device="cuda")}
    accumulator.add_(batch)  # brings the state that was loaded to the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        accumulator.add_(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert accumulator.means()["x"].device.type == "cpu"


def test_an_interval_that_a_checkpoint_divides_has_the_same_means(tmp_path):
    whole, first, second = Accumulator(), Accumulator(), Accumulator()
    for step in range(7):
        whole.add_(values(step))
        if step < 4:
            first.add_(values(step))
    save(tmp_path / "a.pt", {"interval": first.state_dict()})
    state = load(tmp_path / "a.pt")["interval"]
    second.load_state_dict(state)
    for step in range(4, 7):
        second.add_(values(step))
        first.add_(values(step))  # what was saved is no longer touched
    for resumed in (first, second):
        means = resumed.means()
        assert list(means) == list(whole.means())
        assert all(torch.equal(value, means[tag]) for tag, value in whole.means().items())
    third = Accumulator()
    third.load_state_dict(state)
    assert not torch.equal(third.means()["loss"], whole.means()["loss"])
