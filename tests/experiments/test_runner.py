"""A study's life: performed, judged, saved, drawn, and drawn again from disk.

The study is a tiny one, put beside the real ones in a copy of conf/.
"""

import json
import re
import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lab.config import compose
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.experiments import runner
from gan_lab.experiments.base import Experiment
from gan_lab.experiments.claims import Claim, equals
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.plots.animation import Animation
from gan_lab.reports.plots.samples import render_figure
from gan_lab.reports.plots.style import canvas, label
from gan_lab.validation import check_count
from tests.helpers import CONF, files, main


@dataclass(frozen=True)
class Tiny(Experiment):
    """Numbers around 1, one for each seed.

    Attributes:
        expected: What the claim says their mean is.
        n_points: Of the curve.
        breaks: Where it goes wrong: nowhere, in measure, with objects, or in figures.
        animation: Whether there is one.
    """

    expected: float = 1.0
    n_points: int = 8
    breaks: str = "nowhere"
    animation: bool = False
    title: ClassVar[str] = "Tiny"
    question: ClassVar[str] = "What is 1?"
    reference: ClassVar[str] = "a test"

    def __post_init__(self):
        check_count(self, "n_points")

    def measure(self, lab):
        if self.breaks == "measure":
            raise RuntimeError("out of luck")
        noise = [float(torch.rand((), generator=stream(seed, "tiny"))) for seed in lab.seeds]
        arrays = {
            "values": 1 + 0.01 * np.array(noise),
            "steps": np.arange(self.n_points),
            "seeds": np.array(lab.seeds),
            "names": np.array(["a", "bc"]),
            "infinite": np.array([np.inf]),
        }
        if self.breaks == "objects":
            arrays["bad"] = np.array([{}, None])
        return arrays

    def claims(self, arrays):
        one, far = equals(self.expected, 0.5, "apples"), equals(np.inf, 0.0)
        return [
            Claim("one", "The mean is 1", mean(arrays["values"]), *one),
            Claim("far", "inf is inf", mean(arrays["infinite"]), *far),
        ]

    def figures(self, arrays):
        if self.breaks == "figures":
            raise RuntimeError("no ink")
        return {"dots": self._figure(arrays)}

    def _figure(self, arrays):
        figure, axes = canvas("Tiny", size=(3, 2))
        axes[0, 0].plot(arrays["seeds"], arrays["values"], "o")
        label(axes[0, 0], "", "seed", "apples")
        return figure

    def curves(self, arrays):
        return {"tiny/square": (arrays["steps"], arrays["steps"] ** 2.0)}

    def animations(self, arrays):
        frames = [render_figure(self._figure(arrays))] * 2
        return {"moving": Animation("Tiny", frames, ["first", "second"])} if self.animation else {}

    def notes(self, arrays):
        return [f"{len(arrays['values'])} seeds"]


YAML = """# @package _global_
# conf/experiment/tiny.yaml -- a study that takes no time.
_target_: tests.experiments.test_runner.Tiny
n_seeds: ${full_or_quick:5,3}
expected: 1.0
n_points: ${full_or_quick:8,4}
breaks: nowhere
animation: false
"""


@pytest.fixture
def perform(workdir, monkeypatch):
    """Performs the tiny study through the command line; the exit code."""
    conf = workdir / "conf"
    shutil.copytree(CONF, conf)
    (conf / "experiment" / "tiny.yaml").write_text(YAML)
    monkeypatch.setattr(compose, "config_dir", lambda: conf)
    monkeypatch.setenv("GAN_LAB_PLUGINS", "tests")  # the study is no part of gan_lab

    def performed(*overrides, name="tiny", path="study"):
        return main("experiment", name, *overrides, f"hydra.run.dir={workdir / path}")

    return performed


def record(path):
    return json.loads((path / "result.json").read_text())


def status(path):
    return json.loads((path / "status.json").read_text())


def said_once(capsys):
    """The one line of a refusal."""
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


def test_a_study_leaves_its_result_arrays_pictures_and_records(perform, workdir):
    assert perform("seed=5") == 0
    home = workdir / "study"
    assert {str(p) for p in files(home)} >= {
        *("result.json", "arrays.npz", "config.yaml", "status.json", "metrics.jsonl"),
        *("figures/dots.png", "tensorboard", "index.html"),
    }
    saved = record(home)
    assert saved["experiment"] == "tiny"
    assert (saved["question"], saved["reference"]) == ("What is 1?", "a test")
    assert saved["config"]["n_points"] == 8
    assert saved["notes"] == ["5 seeds"]
    assert [claim["verdict"] for claim in saved["claims"]] == ["pass", "pass"]
    assert saved["claims"][1]["measured"] == "inf"  # JSON has no infinity
    assert status(home)["state"] == "done"
    assert status(home)["seeds"] == [5, 6, 7, 8, 9]
    arrays = runner.load_arrays(home)
    assert arrays["seeds"].tolist() == [5, 6, 7, 8, 9]
    assert arrays["names"].tolist() == ["a", "bc"]
    assert arrays["infinite"] == np.inf
    assert arrays["values"].dtype == np.float64


def test_quick_changes_what_its_file_says_and_a_typed_key_wins(perform, workdir):
    perform("quick=true", "n_points=6")
    saved = record(workdir / "study")
    assert (saved["config"]["n_seeds"], saved["config"]["n_points"]) == (3, 6)


def contents(home):
    """The bytes of each file."""
    return {home / p: (home / p).read_bytes() for p in files(home) if (home / p).is_file()}


def test_a_study_is_drawn_again_from_disk_and_never_performed_again(perform, workdir, capsys):
    perform("animation=true")
    home = workdir / "study"
    pictures = sorted((home / "figures").iterdir())
    assert [p.name for p in pictures] == ["dots.png", "moving.gif", "moving.html"]
    before = contents(home)
    for picture in pictures:
        picture.unlink()
    assert main("experiment", home) == 0
    assert contents(home) == before  # and nothing else has changed
    dots = home / "figures" / "dots.png"
    assert str(dots) in capsys.readouterr().out
    assert perform("seed=9") == 2
    assert "holds a study already" in said_once(capsys)
    assert contents(home) == before
    # Pictures follow the arrays on disk.
    arrays = runner.load_arrays(home)
    np.savez(home / "arrays.npz", **{**arrays, "values": arrays["values"][::-1]})
    main("experiment", home)
    assert dots.read_bytes() != before[dots]


def test_tensorboard_has_curves_claims_and_pictures(perform, workdir):
    perform()
    home = workdir / "study"
    writer = EventAccumulator(str(home / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    writer.Reload()
    squares = [(event.step, event.value) for event in writer.Scalars("tiny/square")]
    assert squares == [(step, step**2) for step in range(8)]
    assert writer.Scalars("claims/one")[0].value == pytest.approx(1.005, abs=0.006)
    assert "claims/far" not in writer.Tags()["scalars"]  # a curve cannot show infinity
    (image,) = writer.Images("figures/dots")
    picture = Image.open(home / "figures" / "dots.png")
    assert (image.width, image.height) == picture.size
    texts = {tag.removesuffix("/text_summary") for tag in writer.Tags()["tensors"]}
    assert texts >= {"question", "claims", "notes"}
    rows = read_metrics(home / "metrics.jsonl")
    logged = [(row["step"], row["tiny/square"]) for row in rows if "tiny/square" in row]
    assert logged == squares


@pytest.mark.parametrize(
    ("overrides", "verdict", "code"),
    [([], "pass", 0), (["expected=3"], "fail", 1), (["n_seeds=1"], "inconclusive", 0)],
)
def test_exit_code_says_whether_a_claim_failed(perform, workdir, capsys, overrides, verdict, code):
    assert perform(*overrides) == code
    saved = record(workdir / "study")
    assert saved["claims"][0]["verdict"] == verdict
    assert verdict in capsys.readouterr().out
    assert status(workdir / "study")["state"] == "done"  # a claim that fails is a result


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tiny", "n_point=3"], "did you mean 'n_points'?"),
        (["tiny", "n_points=0"], "n_points=0 is not a whole number >= 1"),
        (["tiny", "n_points=2.5"], "n_points=2.5 is no whole number"),
        (["tiny", "expected=high"], "expected='high' is no number"),
        (["tiny", "n_seeds=0"], "n_seeds=0 is not a whole number >= 1"),
        (["tiny", "seed=-1"], "seed=-1 is not a whole number >= 0"),
        (["tiny", "quick=maybe"], "quick='maybe' is neither true nor false"),
        (["tiny", "device=tpu"], "tpu"),
        (["tinny"], "take one of"),
        (["tiny", "dirac"], "experiment takes one name, got 2"),
        ([], "experiment takes one name, got 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_nothing_is_written(perform, workdir, capsys, words, says):
    before = files(workdir)
    path = [f"hydra.run.dir={workdir / 'study'}"] if words else []
    assert main("experiment", *words, *path) == 2
    assert says in said_once(capsys)
    assert files(workdir) == before


@pytest.mark.parametrize(
    ("breaks", "error", "message"),
    [
        ("measure", RuntimeError, "out of luck"),
        ("objects", TypeError, "array 'bad' is of object; keep numbers, bools or text"),
    ],
)
def test_a_study_that_breaks_says_so_and_leaves_no_result(perform, workdir, breaks, error, message):
    with pytest.raises(error, match=message):
        perform(f"breaks={breaks}")
    end = status(workdir / "study")
    assert (end["state"], end["error"]) == ("failed", f"{error.__name__}: {message}")
    assert not (workdir / "study" / "result.json").exists()


def test_what_was_measured_survives_a_failure_to_draw(perform, workdir):
    with pytest.raises(RuntimeError, match="no ink"):
        perform("breaks=figures")
    home = workdir / "study"
    assert record(home)["claims"][0]["verdict"] == "pass"
    assert runner.load_arrays(home)["seeds"].tolist() == [0, 1, 2, 3, 4]
    assert runner.redraw(Tiny(), home) == [home / "figures" / "dots.png", home / "index.html"]


def test_the_page_shows_verdicts_figures_notes_and_keys_and_is_made_again_by_redrawing(
    perform, workdir, capsys
):
    assert perform("quick=true", "expected=3", "animation=true") == 1
    home = workdir / "study"
    out = capsys.readouterr().out
    assert out.split()[-1] == str(home / "index.html")
    text = (home / "index.html").read_text()
    assert 'class="badge bad">1 of 2 claims shown, 1 contradicted<' in text
    assert re.findall(r'<li><span class="badge (\w+)">(\w+)', text) == [
        ("bad", "contradicted"),
        ("good", "shown"),
    ]
    for words in ("What is 1?", "3 seeds", "Quick scale (quick=true, 3 seeds)", "n_points"):
        assert words in text
    assert text.count("data:image/png") == 1
    assert text.count("data:image/gif") == 1
    assert 'href="figures/moving.html"' in text
    assert not re.search(r'(src|href)="(?!data:|figures/|#)', text)  # no request leaves it
    (home / "index.html").unlink()  # as in a directory of before there was a page
    assert main("experiment", home) == 0
    assert capsys.readouterr().out.split()[-1] == str(home / "index.html")
    assert (home / "index.html").read_text() == text


@pytest.mark.parametrize(("kind", "head"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figures_are_written_in_a_second_format_and_always_the_same(perform, workdir, kind, head):
    perform(f"figures={kind}")
    home = workdir / "study" / "figures"
    assert {path.name for path in home.iterdir()} == {"dots.png", f"dots.{kind}"}
    with Image.open(home / "dots.png") as image:
        assert image.size == (450, 375)  # 150 dpi of 3 x 2.5 inches
    before = (home / f"dots.{kind}").read_bytes()
    assert before.startswith(head)
    (home / f"dots.{kind}").unlink()
    assert main("experiment", home.parent) == 0  # as it was performed
    assert (home / f"dots.{kind}").read_bytes() == before
    assert main("experiment", home.parent, "figures=svg") == 0
    assert (home / "dots.svg").exists()
    assert main("experiment", home.parent, "figures=jpg") == 2


def test_damage_on_disk_is_one_line(perform, workdir, capsys):
    perform()
    home = workdir / "study"
    capsys.readouterr()
    for name, content, says in (
        ("arrays.npz", "PK torn", "arrays.npz cannot be read"),
        ("result.json", '{"experiment": "tiny", "claims": [{"id": 1}]}', "holds no config"),
        ("result.json", "{}", "is not the result of a study"),
        ("result.json", "torn", "is not JSON"),
    ):
        (home / name).write_text(content)
        assert main("experiment", home) == 2
        assert says in said_once(capsys)
    perform(path="other")
    saved = record(workdir / "other")
    saved["claims"][0].pop("relation")
    (workdir / "other" / "result.json").write_text(json.dumps(saved))
    capsys.readouterr()
    assert main("experiment", workdir / "other") == 2
    assert "cannot be shown: KeyError: 'relation'. Perform the study again" in said_once(capsys)
    with pytest.raises(ConfigError, match="holds no study"):
        runner.load_record(workdir / "elsewhere")


def test_a_sweep_performs_every_job_and_fails_if_a_claim_does(perform, workdir):
    sweep = f"hydra.sweep.dir={workdir / 'sweep'}"
    assert main("experiment", "tiny", "-m", "seed=0,10", "expected=1", sweep) == 0
    results = workdir.glob("sweep/*/result.json")
    assert sorted(record(path.parent)["config"]["seed"] for path in results) == [0, 10]


def test_markdown_of_claims_has_a_row_each(perform, workdir):
    perform("n_seeds=1")
    arrays = runner.load_arrays(workdir / "study")
    result = runner.Result("tiny", {}, arrays, Tiny().claims(arrays), [])
    rows = runner.claims_markdown(result).splitlines()
    assert len(rows) == 4
    assert "[-inf, inf]" in rows[2]
    assert "**inconclusive**" in rows[2]


def test_keys_of_before_are_read_under_their_names_of_today(tmp_path):
    config = {"games": ["minimax"], "light_weight": 0.1, "most_steps": 9, "learned": 0.2}
    text = json.dumps({"experiment": "tiny", "claims": [], "config": config})
    (tmp_path / "result.json").write_text(text)
    now = {"methods": ["minimax"], "small_weight": 0.1, "max_steps": 9, "threshold": 0.2}
    assert runner.load_config(tmp_path) == now
