"""Every logger of conf/logger gets every record; a lost one costs itself, never the training."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lab.errors import ConfigError
from gan_lab.loggers import JsonlLogger, Logger, LoggerFactory, TensorBoardLogger
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.reports.plots.samples import encode_png
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted
from tests.helpers import ONE, RING, ROOT, files, main, names, rows, run_config, train

LOGGERS = names("logger")
VALUES = {
    1: {"loss/generator": 1 / 3, "loss/discriminator": -2.5},
    4: {"loss/generator": math.inf, "loss/discriminator": 0.0},
}
PICTURE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
PNG = encode_png(PICTURE)
EVENT = {"kind": "mode_collapse", "modes": 3, "share": 0.25}


@pytest.fixture
def trackio(monkeypatch):
    """The stand-in for the package, without runs."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "stand_ins"))
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    module = importlib.import_module("trackio")
    yield module
    del sys.modules["trackio"]


@pytest.fixture
def run(tmp_path):
    return RunDir(tmp_path / "run").create()


def factories(*chosen):
    """What `logger=[...]` makes, jsonl first."""
    listed = ",".join(dict.fromkeys(["jsonl", *chosen]))
    return run_config(*RING, f"logger=[{listed}]").loggers


def factory(name):
    return factories(name)[0 if name == "jsonl" else 1]


def record(logger, steps=(1, 4)):
    """Call all that a training calls, in its order."""
    logger.text("config", "loss: *hinge*")
    logger.hparams({"loss": "hinge", "lr": 1e-3, "ema": False}, ["loss/generator"])
    logger.layout([])
    logger.session_end("running")
    for step in steps:
        logger.scalars(step, VALUES[step])
        logger.event(step, EVENT["kind"], {k: v for k, v in EVENT.items() if k != "kind"})
        logger.image("samples", step, PNG)
        logger.flush()
    logger.session_end("success")
    logger.close()


# Per logger: step -> scalars; step -> picture; the texts, events among them.


def of_jsonl(run, _):
    lines = read_metrics(run.metrics)
    scalars = {line.pop("step"): {k: v for k, v in line.items() if k != "seed"} for line in lines}
    return scalars, None, [event["kind"] for event in read_metrics(run.events)]


def of_tensorboard(run, _):
    log = EventAccumulator(str(run.tensorboard)).Reload()
    scalars = {}
    for tag in VALUES[1]:
        for event in log.Scalars(tag):
            scalars.setdefault(event.step, {})[tag] = event.value
    images = {}
    for event in log.Images("samples"):
        path = run.path / "image.png"
        path.write_bytes(event.encoded_image_string)
        images[event.step] = pixels(path)
    texts = [log.Tensors(tag) for tag in ("config", "events/mode_collapse")]
    return scalars, images, [each.tensor_proto.string_val[0].decode() for t in texts for each in t]


def of_trackio(_, trackio):
    [run] = trackio.runs
    assert run.is_finished
    scalars, images, texts = {}, {}, []
    for step, values in run.records:
        for tag, value in values.items():
            if isinstance(value, trackio.Image):
                images[step] = value.value
            elif isinstance(value, trackio.Markdown):
                texts.append(value.value)
            else:
                scalars.setdefault(step, {})[tag] = value
    return scalars, images, texts


READERS = {"jsonl": of_jsonl, "tensorboard": of_tensorboard, "trackio": of_trackio}


def pixels(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_takes_every_record_and_can_be_read_back(name, run, trackio, capsys):
    record(factory(name)(run, seed=3))
    assert capsys.readouterr().out == ""  # the terminal is the training's
    if name not in READERS:  # a newcomer: whatever it makes of them
        return
    scalars, images, texts = READERS[name](run, trackio)
    is_exact = name != "tensorboard"  # whose numbers are float32
    expected = {
        step: {tag: value if is_exact else float(np.float32(value)) for tag, value in row.items()}
        for step, row in VALUES.items()
    }
    assert scalars == expected
    if name == "jsonl":
        assert texts == ["mode_collapse"] * 2
        return
    assert list(images) == [1, 4]
    assert all(np.array_equal(image, PICTURE) for image in images.values())
    assert texts[0] == "loss: *hinge*"
    assert texts[1:] == ["- **modes**: 3\n- **share**: 0.25"] * 2


@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_goes_on_after_a_resume(name, run, trackio):
    record(factory(name)(run, seed=3), steps=[1])
    record(factory(name)(run, seed=3, resume_step=1), steps=[4])
    if name == "trackio":  # which is asked to go on with its run
        assert [each.arguments["resume"] for each in trackio.runs] == ["never", "allow"]
        assert len({each.arguments["name"] for each in trackio.runs}) == 1
        assert [step for each in trackio.runs for step, _ in each.records if step] == [1] * 3 + [
            4
        ] * 3
    elif name in READERS:
        assert list(READERS[name](run, trackio)[0]) == [1, 4]


def test_the_base_class_writes_nothing_and_says_an_event_as_a_text(run):
    record(Logger(run, 0))
    assert files(run.path) == []
    texts = []
    logger = Logger(run, 0)
    logger.text = lambda *arguments: texts.append(arguments)
    logger.event(7, "dead", {})
    logger.event(8, "low", {"at": {"js": 0.123456, "n": 2}})
    assert texts == [
        ("events/dead", "dead", 7),
        ("events/low", "- **at**: js 0.1235, n 2", 8),
    ]


# One that fails


class Broken(Logger):
    """Fails at whatever is asked of it."""

    error: Exception = KeyError("x")

    def fail(self, *_):
        raise self.error

    scalars = image = text = hparams = layout = session_end = flush = close = fail


def test_a_logger_that_fails_loses_its_own_records_only(run, capsys):
    chosen = (LoggerFactory(Broken), LoggerFactory(JsonlLogger), LoggerFactory(TensorBoardLogger))
    logger = RunLogger(run, 3, loggers=chosen)
    record_through(logger)
    expected = {
        step: {k: float(np.float32(v)) for k, v in row.items()} for step, row in VALUES.items()
    }
    assert of_jsonl(run, None)[0] == VALUES
    assert of_tensorboard(run, None)[0] == expected
    # config; hparams, running; layout; 2 x (scalars, event, image, flush); success; flush, close
    assert logger.lost_records.writes == 15
    assert (logger.lost_records.last_step, logger.lost_records.why) == (4, "KeyError: 'x'")
    err = capsys.readouterr().err
    assert err.count("\n") == 1  # however often
    assert "(Broken: KeyError: 'x')" in err


def record_through(logger):
    logger.text("config", "loss: *hinge*")
    logger.hparams({"loss": "hinge"}, ["loss/generator"])
    logger.layout([])
    for step, values in VALUES.items():
        logger.scalars(step, values)
        logger.event(step, **EVENT)
        logger.image("samples", step, PNG)
        logger.flush()
    logger.session_end("success")
    logger.close()


def test_each_sort_of_failure_is_said_once(run, monkeypatch, capsys):
    logger = RunLogger(run, 0, loggers=[LoggerFactory(Broken)])
    for error in (KeyError("x"), OSError(28, "full"), ValueError("y"), OSError(28, "full")):
        monkeypatch.setattr(Broken, "error", error)
        logger.scalars(1, {})
    assert [line.split("Broken: ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "KeyError: 'x'); the training goes on",
        "[Errno 28] full); the training goes on",
        "ValueError: y); the training goes on",
    ]
    assert logger.lost_records.writes == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted(15)], ids=repr)
def test_a_signal_is_no_failure_of_a_logger(error, run, monkeypatch):
    logger = RunLogger(run, 0, loggers=[LoggerFactory(Broken)])
    monkeypatch.setattr(Broken, "error", error)
    with pytest.raises(type(error)):
        logger.scalars(1, {})
    assert logger.lost_records.writes == 0


def test_where_one_cannot_be_made_the_others_are_closed(run, monkeypatch):
    closed = []
    monkeypatch.setattr(JsonlLogger, "close", lambda self: closed.append(self))
    with pytest.raises(ConfigError, match=r"Logger cannot be made .TypeError: .*no_such_key"):
        RunLogger(
            run, 0, loggers=[LoggerFactory(JsonlLogger), LoggerFactory(Logger, {"no_such_key": 1})]
        )
    assert len(closed) == 1


# Trackio


def test_each_seed_has_a_run_of_trackios_of_its_own_at_once(workdir, trackio):
    (workdir / "ring" / "seed_1").mkdir(parents=True)
    (workdir / "ring" / "seed_1" / "config.yaml").write_text("loss: {a: 1}\n")
    [_, make] = run_config(*RING, "logger=[jsonl,trackio]", "logger.trackio.project=rings").loggers
    loggers = [make(RunDir(Path("ring") / f"seed_{seed}"), seed) for seed in (0, 1)]
    for logger in loggers:
        logger.scalars(1, VALUES[1])
    assert [each.project for each in trackio.runs] == ["rings"] * 2
    assert [each.arguments["name"] for each in trackio.runs] == ["ring/seed_0", "ring/seed_1"]
    assert [each.arguments["config"] for each in trackio.runs] == [{}, {"loss": {"a": 1}}]
    assert [each.records for each in trackio.runs] == [[(1, VALUES[1])]] * 2
    outside = make(RunDir(workdir.parent / "elsewhere"), 0)
    assert not Path(trackio.runs[-1].arguments["name"]).is_absolute()
    outside.close()


def test_what_trackios_thread_cannot_write_is_counted(run, trackio, capsys):
    logger = RunLogger(run, 0, loggers=factories("trackio"))
    logger.scalars(1, VALUES[1])
    trackio.runs[0].is_down = True
    logger.scalars(2, VALUES[1])
    logger.scalars(3, VALUES[1])
    trackio.runs[0].is_down = False
    logger.scalars(4, VALUES[4])
    logger.close()
    lost = logger.lost_records
    assert (lost.writes, lost.first_step, lost.last_step) == (2, 2, 3)
    assert lost.why == "RuntimeError: the disk is full"
    assert trackio.runs[0].records == list(VALUES.items())
    assert [row["step"] for row in read_metrics(run.metrics)] == [1, 2, 3, 4]
    assert capsys.readouterr().err.count("\n") == 1


def test_a_trackio_that_cannot_start_is_refused_in_one_line(run, trackio, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trackio, "init", fail)
    with pytest.raises(ConfigError, match=r"cannot start .*leave it out: logger=") as refused:
        factory("trackio")(run, 0)
    assert "\n" not in str(refused.value)


def test_a_missing_package_is_named_before_anything_is_written(workdir, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main("train", *RING, "logger=[jsonl,trackio]", "output=run") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install -e '.[trackio]'" in line
    assert "logger=[jsonl,tensorboard]" in line
    assert files(workdir) == []


def test_a_run_opens_without_the_package_and_goes_on_without_the_logger(
    workdir, trackio, monkeypatch, capsys
):
    path = train("run", *RING, "trainer.steps=4", "logger=[jsonl,trackio]")
    assert trackio.runs[0].is_finished
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main("sample", path, "n=4", "output=points.npy") == 0
    assert main("resume", path, "steps=6") == 2
    assert "pip install -e '.[trackio]'" in capsys.readouterr().err
    assert main("resume", path, "steps=6", "logger=[jsonl]") == 0
    assert rows(path)[-1]["step"] == 6
    assert list(yaml.safe_load(RunDir(Path(path)).config.read_text())["logger"]) == ["jsonl"]
    assert max(step for step, _ in trackio.runs[0].records) == 4
    assert main("resume", path, "steps=8", "logger=[tensorboard]") == 2
    assert "lacks jsonl" in capsys.readouterr().err


REAL = """
import sys
from gan_lab.cli.main import main
sys.exit(main({arguments!r}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["database", "/proc/nowhere"])
def test_the_package_itself(folder, workdir):
    pytest.importorskip("trackio", reason="pip install -e '.[trackio]'")
    keys = ("trainer.steps=4", "trainer.log_every=1", "trainer.image_every=2", "n_seeds=2")
    arguments = ["train", *RING, *keys, "logger=[jsonl,trackio]", "output=run"]
    env = {**ONE, "TRACKIO_DIR": folder, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", REAL.format(arguments=arguments)], env=env)
    assert done.returncode == 0
    lost = RunDir(workdir / "run").read_status()["lost"]
    if folder != "database":
        assert lost["writes"] > 0
        return
    assert lost is None
    for child in RunDir(workdir / "run").children():
        shown = (
            "get",
            "metric",
            "--project",
            "gan_lab",
            "--run",
            f"run/{child.path.name}",
            "--json",
        )
        command = [sys.executable, "-m", "trackio.cli", *shown, "--metric", "loss/generator"]
        answer = json.loads(subprocess.check_output(command, env=env))
        actual = {each["step"]: each["value"] for each in answer["values"]}
        written = {row["step"]: row.get("loss/generator") for row in read_metrics(child.metrics)}
        assert actual == {step: value for step, value in written.items() if value is not None}
        assert len(actual) == 4


# A training


OWN = """
from gan_lab.loggers import Logger

class Mine(Logger):
    rows, pictures = {}, {}

    def scalars(self, step, values):
        self.rows[step] = {"step": step, "seed": self.seed, **values}

    def image(self, tag, step, png):
        self.pictures[step] = png
"""


def test_a_logger_of_ones_own_gets_all_scalars_and_pictures_of_a_training(workdir, monkeypatch):
    (workdir / "own_logger.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(workdir))
    keys = ("trainer.steps=8", "trainer.log_every=2", "trainer.image_every=4")
    path = Path(train("run", *RING, *keys, "+logger.mine._target_=own_logger.Mine"))
    mine = sys.modules.pop("own_logger").Mine
    lines = read_metrics(path / "metrics.jsonl")
    assert list(mine.rows.values()) == lines
    assert len(lines) >= 4
    files = sorted((path / "samples").glob("*.png"))
    assert len(files) >= 2
    assert mine.pictures == {int(file.stem[5:]): file.read_bytes() for file in files}
    assert RunDir(path).read_status()["lost"] is None


def test_a_logger_that_fails_stops_no_training_and_stands_in_its_status(workdir, capsys):
    keys = ("trainer.steps=4", "trainer.log_every=1")
    plain = train("plain", *RING, *keys)
    path = train("run", *RING, *keys, f"+logger.broken._target_={__name__}.Broken")
    assert rows(path) == rows(plain)
    status = RunDir(Path(path)).read_status()
    assert status["state"] == "done"
    assert status["lost"]["why"] == "KeyError: 'x'"
    assert status["lost"]["last_step"] == 4


class Unopened(Logger):
    """A logger that never opens."""

    def __init__(self, *arguments):
        raise RuntimeError("no server answers")


@pytest.mark.parametrize("seeds", [(), ("n_seeds=2",)], ids=["one", "two"])
def test_a_run_whose_logger_cannot_be_made_has_failed(seeds, workdir, capsys):
    words = (*RING, *seeds, "trainer.steps=4", f"+logger.x._target_={__name__}.Unopened")
    assert main("train", *words, "output=run") == 2
    assert "no server answers" in capsys.readouterr().err
    homes = [RunDir(Path("run")), *RunDir(Path("run")).children()]
    assert len(homes) == 1 + 2 * bool(seeds)
    for home in homes:
        status = home.read_status()
        assert status["state"] == "failed"
        assert "no server answers" in status["error"]


END = """
import sys
from gan_lab.cli.main import main
code = main({arguments!r})
print("HEAVY", "tensorboard" in sys.modules)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "chosen", ["jsonl", pytest.param("jsonl,tensorboard", marks=pytest.mark.slow)]
)
def test_tensorboard_is_imported_where_it_is_in_the_list(chosen, tmp_path):
    arguments = ["train", *RING, "trainer.steps=1", f"logger=[{chosen}]", f"output={tmp_path}/run"]
    code = END.format(arguments=arguments)
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=ONE, text=True)
    assert output.splitlines()[-1] == f"HEAVY {'tensorboard' in chosen}"
    assert (tmp_path / "run" / "tensorboard").exists() == ("tensorboard" in chosen)


# The configuration


def test_the_list_is_jsonl_and_tensorboard_by_default():
    chosen = (LoggerFactory(JsonlLogger), LoggerFactory(TensorBoardLogger))
    assert run_config(*RING).loggers == chosen
    assert run_config(*RING, "logger=[jsonl]").loggers == chosen[:1]
    assert run_config(*RING, "logger=[tensorboard,jsonl]").loggers == chosen[::-1]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["logger=[tensorboard]"], r"logger=\[tensorboard\] lacks jsonl.*'logger=\[jsonl,tensor"),
        (["logger=[]"], r"logger=\[\] lacks jsonl.* say 'logger=\[jsonl\]'"),
        (["logger=[jsonl,tb]"], "logger=tb is unknown.* did you mean 'tensorboard'"),
        (["+logger.jsonl.seed=1"], "unknown key 'logger.jsonl.seed'"),
        (["+logger.x._target_=gan_lab.losses.Hinge"], "is no Logger"),
        (["+logger.x.project=a"], "logger.x needs a _target_ that names a kind of Logger"),
        (["logger=[jsonl,trackio]", "logger.trackio.project=1"], "project=1 is no text"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_is_no_list_of_loggers_is_refused(keys, words):
    with pytest.raises(ConfigError, match=words) as refused:
        run_config(*RING, *keys)
    assert "\n" not in str(refused.value)
