"""gan_lab.train and gan_lab.steps: the command's runs, from Python."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import gan_lab
from gan_lab.api.training import override_words
from gan_lab.config.compose import compose_config
from gan_lab.console import ProgressLine
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted
from gan_lab.training.callbacks import evaluation
from gan_lab.training.run import Run
from tests.helpers import (
    DIGITS,
    RING,
    assert_same,
    files,
    load_checkpoint,
    main,
    rows,
    signal_at,
    snapshot,
    state_digest,
    train,
)

pytestmark = pytest.mark.usefixtures("workdir")


def assert_same_run(actual, expected):
    assert state_digest(actual) == state_digest(expected)
    assert rows(actual) == rows(expected)
    assert RunDir(actual).config.read_text() == RunDir(expected).config.read_text()
    mine, yours = (RunDir(path).read_status() for path in (actual, expected))
    for key in ("state", "step", "final", "seeds", "overrides"):
        assert mine[key] == yours[key], key


# The same as the command


def test_a_run_is_the_commands():
    train(Path("command"), *RING, "loss=minimax", "steps=12", "seed=3", "lr=0.002")
    run = gan_lab.train(*RING, loss="minimax", steps=12, seed=3, lr=0.002, output="face")
    assert run.path == Path("face").absolute()
    assert_same_run(run.path, Path("command"))


def test_without_an_output_the_choices_and_the_time_name_the_directory():
    run = gan_lab.train(*RING, loss="wasserstein_clip", steps=2)
    assert run.path.parent == Path("outputs/train/ring_wasserstein_clip").absolute()
    assert main("train", *RING, "loss=wasserstein_clip", "steps=2") == 0
    names = [path.name for path in run.path.parent.iterdir()]
    assert len(names) == 2
    assert len({len(name) for name in names}) == 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"steps": 3}, ["steps=3"]),
        ({"optim__lr": 1e-4}, ["optim.lr=0.0001"]),
        ({"trainer__steps": np.int64(3), "lr": np.float32(0.5)}, ["trainer.steps=3", "lr=0.5"]),
        ({"metrics": ["wasserstein", "js"]}, ["metrics=[wasserstein,js]"]),
        ({"metrics": ("js",)}, ["metrics=[js]"]),
        ({"preset": None}, ["preset=null"]),
        ({"network__residual": True}, ["network.residual=true"]),
        ({"data": {"n": 3}}, ["data={n:3}"]),
        ({"regularizer": "[r1,r2]"}, ["regularizer=[r1,r2]"]),
        ({"data__path": Path("a b.csv")}, ["data.path='a b.csv'"]),
    ],
)
def test_values_are_what_the_shell_would_be_given(keys, words):
    assert override_words([], keys) == words


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a b",
            "it's",
            "a=b",
            "C:\\data\\new",
            "end\\",
            "a\\'b",
            'say "x"',
            "a,b",
            "{x}",
            "#a",
            "~/a",
        ),
        *("\u00fc.npy", "a%b@c+d-e", "*"),
    ],
)
def test_a_text_arrives_as_it_is(text):
    words = override_words([], {"data": "array", "data__path": text})
    assert compose_config("train", words).data.path == text


@pytest.mark.parametrize(
    ("overrides", "keys", "words"),
    [
        (["ring"], {}, "an override is a text key=value, got 'ring'"),
        ([3], {}, "an override is a text key=value, got 3"),
        (["--cfg"], {}, "an override is a text key=value, got '--cfg'"),
        ([], {"loss": object}, "loss=<class 'object'> is of type type; a key takes text, numbers"),
        (["output=x"], {}, "output=x is no override here; give train the argument output="),
        (["hydra.run.dir=x"], {}, "hydra.run.dir=x is no override here"),
    ],
)
def test_what_no_shell_would_be_given_is_refused(overrides, keys, words):
    with pytest.raises(gan_lab.ConfigError) as caught:
        gan_lab.train(*overrides, **keys)
    assert words in str(caught.value)
    assert files(".") == []


REFUSED = {
    "choice": ["loss=wasserstien"],
    "key": ["stepz=5"],
    "value": ["steps=-1"],
    "kind": ["lr=fast"],
    "list": ["metrics=[wasserstein,jss]"],
    "together": ["device=cpu", "execution.mode=cuda_graph"],
    "twice": ["steps=5", "trainer.steps=6"],
    "sweep": ["seed=0,1"],
    "data": ["data=array", "data.path=nowhere.csv"],
}


@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_in_the_commands_sentence(words, capsys):
    assert main("train", *words) == 2
    said = capsys.readouterr().err
    for program in (gan_lab.train, gan_lab.steps):
        with pytest.raises(gan_lab.ConfigError) as caught:
            program(*words)
        assert isinstance(caught.value, ValueError)
        assert f"ConfigError: {' '.join(str(caught.value).split())}\n" == said
    assert files(".") == []


@pytest.mark.parametrize("place", ["run", "file", ""])
def test_a_place_that_cannot_be_is_refused_in_the_commands_sentence(place, capsys):
    train(Path("run"), *RING, "steps=2")
    Path("file").touch()
    before, digest = files("."), state_digest("run")
    capsys.readouterr()
    assert main("train", *RING, "steps=2", f"output={place}") == 2
    said = capsys.readouterr().err
    with pytest.raises(gan_lab.ConfigError) as caught:
        gan_lab.train(*RING, steps=2, output=place)
    assert f"ConfigError: {caught.value}\n" == said
    assert files(".") == before
    assert state_digest("run") == digest


def test_warnings_are_the_commands(capsys):
    # Wasserstein without a constraint on the critic.
    gan_lab.train(*RING, steps=2, regularizer="none", output="face")
    mine = capsys.readouterr().err
    train(Path("command"), *RING, "steps=2", "regularizer=none")
    yours = capsys.readouterr().err
    assert mine.startswith("warning: ")
    assert [line for line in mine.splitlines() if line.startswith("warning")] == [
        line for line in yours.splitlines() if line.startswith("warning")
    ]


# Ctrl-C, threads, and what is left of the process


def test_ctrl_c_returns_the_run_so_far_and_resume_completes_it(monkeypatch, capsys):
    whole = gan_lab.train(*RING, steps=20, output="whole")
    with monkeypatch.context() as patch:
        signal_at(patch, 7, signal.SIGINT)
        run = gan_lab.train(*RING, steps=20, output="stopped")
    assert "run.resume()" in capsys.readouterr().err
    assert (run.status["state"], run.status["signal"], run.step) == ("interrupted", "SIGINT", 8)
    assert run.samples(4).shape == (4, 2)
    with monkeypatch.context() as patch:
        signal_at(patch, 12, signal.SIGINT)
        run = run.resume()
    assert run.step == 13
    run = run.resume()
    assert run.step == 20
    assert_same_run(run.path, whole.path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_is_extended_by_resume():
    whole = gan_lab.train(*RING, steps=20, output="whole")
    run = gan_lab.train(*RING, steps=12, output="run").resume(steps=20)
    assert run.step == 20
    assert state_digest(run.path) == state_digest(whole.path)


def test_sigterm_saves_and_ends_the_caller_too(monkeypatch):
    with monkeypatch.context() as patch:
        signal_at(patch, 7, signal.SIGTERM)
        with pytest.raises(Interrupted):
            gan_lab.train(*RING, steps=20, output="run")
    assert gan_lab.load("run").step == 8


def test_a_second_ctrl_c_raises_and_leaves_the_process_alive(monkeypatch):
    show = ProgressLine.show

    def and_press_twice(self, step):
        show(self, step)
        if step == 5:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressLine, "show", and_press_twice)
        with pytest.raises(KeyboardInterrupt):
            gan_lab.train(*RING, steps=20, output="run")
    assert RunDir(Path("run")).read_status()["state"] == "failed"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_threads_train_at_once_and_make_the_same_run():
    whole = gan_lab.train(*RING, steps=12, output="main")
    runs = {}

    def work(name):
        runs[name] = gan_lab.train(*RING, steps=12, output=name)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert set(runs) == {"one", "two"}
    for run in runs.values():
        assert_same_run(run.path, whole.path)


def test_torch_and_hydra_are_left_as_they_were():
    torch.set_num_threads(2)
    compose_config("train", ["seed=7"])  # as of an application around this one
    config, hydra = HydraConfig.instance().cfg, GlobalHydra.instance().hydra
    run = gan_lab.train(*RING, steps=3, output="run")
    run.evaluate()
    run.resume(steps=4)
    for _ in gan_lab.steps(*RING, steps=3):
        assert torch.get_num_threads() == 2
    gan_lab.measure(np.zeros((80, 1)), np.zeros((160, 1)), metrics="wasserstein")
    assert torch.get_num_threads() == 2
    assert HydraConfig.instance().cfg is config
    assert GlobalHydra.instance().hydra is hydra


def test_a_run_is_computed_with_its_own_threads(monkeypatch):
    n_threads = []

    def spy(owner, name):
        function = getattr(owner, name)

        def and_note(*arguments, **keys):
            n_threads.append(torch.get_num_threads())
            return function(*arguments, **keys)

        monkeypatch.setattr(owner, name, and_note)

    torch.set_num_threads(1)
    spy(Run, "train_step")
    spy(evaluation, "evaluate")
    words = (*RING, "steps=3", "execution.threads=2")
    gan_lab.train(*words, output="run").evaluate()
    for _ in gan_lab.steps(*words):
        assert torch.get_num_threads() == 1
    assert n_threads == [2] * 7


# Steps


def leaves(state):
    return {
        f"{name}/{leaf}": tensor
        for name, part in {
            "d": {**state.discriminator.params, **state.discriminator.buffers},
            "g": {**state.generator.params, **state.generator.buffers},
            "average": state.average,
        }.items()
        for leaf, tensor in part.items()
    }


CHOICES = {
    "wasserstein": RING,
    "two_seeds": (*RING, "n_seeds=2"),
    "clipping": (*RING, "loss=wasserstein_clip"),
    "spectral_norm": (*RING, "loss=hinge"),
    "batch_norm": (*DIGITS, "loss=non_saturating"),
}


@pytest.mark.parametrize("words", CHOICES.values(), ids=CHOICES)
def test_each_step_has_the_weights_of_train(words):
    often = ("trainer.checkpoint_every=5", "trainer.keep_checkpoints=9")
    run = gan_lab.train(*words, *often, steps=12, output="run")
    kept = {}
    for step, each in gan_lab.steps(*words, steps=12):
        kept[step] = snapshot(leaves(each.state))
        assert each.state.step == step
    assert list(kept) == list(range(13))
    for step in (5, 10, 12):
        assert_same(kept[step], snapshot(leaves(gan_lab.load(run.path, step).checkpoint.run.state)))
        assert load_checkpoint(run.path, step)["step"] == step
    first = kept[0]
    assert any(not torch.equal(first[name], kept[5][name]) for name in first)


def test_a_loop_that_is_left_early_leaves_nothing(monkeypatch):
    before = signal.getsignal(signal.SIGINT), threading.active_count(), torch.get_num_threads()
    for step, run in gan_lab.steps(*RING, steps=1000):
        assert run.last_values().keys() == (set() if step == 0 else run.last_values().keys())
        if step == 3:
            assert float(run.last_values()["loss/discriminator"]) != 0
            break
    assert run.state.step == 3
    assert files(".") == []
    after = signal.getsignal(signal.SIGINT), threading.active_count(), torch.get_num_threads()
    assert after == before


def test_loops_side_by_side_do_not_disturb_each_other():
    alone = [snapshot(leaves(run.state)) for _, run in gan_lab.steps(*RING, steps=6)]
    pairs = zip(gan_lab.steps(*RING, steps=6), gan_lab.steps(*RING, steps=6, seed=1), strict=True)
    for expected, ((_, run), (_, other)) in zip(alone, pairs, strict=True):
        assert_same(snapshot(leaves(run.state)), expected)
        assert other.state.step == run.state.step
