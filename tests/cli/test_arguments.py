"""One way to say things: keys, output=, short names, help, completion, hints for mistakes."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gan_lab.cli.arguments import key, keys_of, parse_options, positional
from gan_lab.cli.commands import COMMANDS, Evaluate, Sample
from gan_lab.cli.hydra import HydraArguments, key_of, long_names, run_directory
from gan_lab.config import catalogue
from gan_lab.config.compose import compose_config
from gan_lab.errors import ConfigError
from tests.helpers import CONF, ONE, RING, files, main, names, train


@dataclasses.dataclass(frozen=True)
class Toy:
    """A command of all kinds of keys."""

    words: tuple[str, ...] = positional("WORD ...", "words", at_least=0)
    n: int = key(3, "a count", at_least=1, at_most=10)
    step: int | str | None = key(None, "a step", words=("best",))
    flag: bool = key(False, "a switch")
    format: str = key("table", "a choice", words=("table", "json"))
    text: str | None = key(None, "any text")


def test_a_directory_that_looks_like_a_key_is_the_run_where_no_other_is_named(workdir):
    (workdir / "run").mkdir()
    with pytest.raises(ConfigError, match="evaluate takes run directories, got 0"):
        parse_options(Evaluate, ["step=3"])
    for name in ("step=3", "step=4"):
        (workdir / name).mkdir()
    request = parse_options(Sample, ["step=3", "n=5", "step=best"])
    assert (request.run, request.n, request.step) == (Path("step=3"), 5, "best")
    runs = parse_options(Evaluate, ["step=3", "step=4", "step=5"])
    assert (runs.runs, runs.step) == ((Path("step=3"), Path("step=4")), 5)
    both = parse_options(Evaluate, ["run", "step=3"])
    assert (both.runs, both.step) == ((Path("run"),), 3)
    dotted = parse_options(Sample, ["./step=3", "step=4"])
    assert (dotted.run, dotted.step) == (Path("step=3"), 4)


def test_words_and_keys_become_the_dataclass():
    assert parse_options(Toy, []) == Toy()
    typed = ["a", "n=10", "step=7", "b", "flag=True", "format=json", "text=x y=[z]"]
    assert parse_options(Toy, typed) == Toy(("a", "b"), 10, 7, True, "json", "x y=[z]")
    assert parse_options(Toy, ["step=best"]).step == "best"
    assert parse_options(Toy, ["step=null"]).step is None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("n=0", "n=0 is not a whole number >= 1"),
        ("n=1.5", "n=1.5 is not a whole number >= 1"),
        ("n=\u00b2", "is not a whole number >= 1"),
        ("n=11", "n=11 is more than 10, the most"),
        ("n=null", "n=null is not a whole number >= 1"),
        ("n=", "n= has no value; give one, or leave n out"),
        ("n=" + "9" * 5000, "is not a whole number >= 1"),
        ("step=last", "step=last is neither a whole number >= 0 nor best"),
        ("flag=2", "flag=2 is neither true nor false"),
        ("format=xml", "format=xml is unknown; take one of table, json"),
        ("fromat=json", "unknown key 'fromat'; did you mean 'format'?"),
        ("x=1", "unknown key 'x'; known are flag, format, n, step, text"),
        ("--n=3", "toy takes no '--n=3'; keys have no dashes: say n=3; see toy --help"),
        ("-v", "toy takes no '-v'; see toy --help"),
    ],
)
def test_a_word_that_does_not_fit_is_refused(word, said):
    with pytest.raises(ConfigError) as refused:
        parse_options(Toy, [word])
    assert said in str(refused.value)
    assert len(str(refused.value)) < 150


# Natural mistakes: what is typed, and what the one line has to say


MISTAKES = [
    ("train loss=wgan", "did you mean 'wasserstein'?"),
    ("train loss=wgan_gp", "did you mean 'wasserstein'?"),
    ("train loss=WGAN-GP", "did you mean 'wasserstein'?"),
    ("train loss=gan", "did you mean 'non_saturating' or 'minimax'?"),
    ("train loss=vanilla", "did you mean 'non_saturating' or 'minimax'?"),
    ("train loss=lsgan", "did you mean 'least_squares'?"),
    ("train -m loss=hinge,wgan", "did you mean 'wasserstein'?"),
    ("train data=MNIST", "did you mean 'mnist'?"),
    ("train regularizer=gp", "did you mean 'gradient_penalty'?"),
    ("train regularizer=[clipping]", "did you mean 'weight_clipping'?"),
    ("train network=cnn", "did you mean 'conv'?"),
    ("train seeds=5", "did you mean 'n_seeds=5' or -m 'seed=range(5)'?"),
    ("train epochs=3", "unknown key 'epochs'; did you mean 'steps'?"),
    ("train iterations=3", "unknown key 'iterations'; did you mean 'steps'?"),
    ("train step=3", "did you mean 'steps'?"),
    ("train learning_rate=1", "did you mean 'lr'?"),
    ("train batchsize=1", "did you mean 'batch_size'?"),
    ("train optim.learning_rate=1", "did you mean 'optim.lr'?"),
    ("train trainer.epochs=1", "did you mean 'trainer.steps'?"),
    ("train gpu=true", "did you mean 'device=cuda'?"),
    ("train dataset=ring", "did you mean 'data'?"),
    ("train optimizer=adam", "did you mean 'optim'?"),
    ("train output_dir=x", "did you mean 'output'?"),
    ("train estimator.every=5", "did you mean 'evaluator.every'?"),
    ("train measure=[js]", "did you mean 'metrics'?"),
    ("train probe.steps=0", "did you mean 'neural_distance.steps'?"),
    ("train trainer.film_every=5", "did you mean 'trainer.landscape_every'?"),
    ("train --seed 3", "train takes no '--seed'; keys have no dashes: say seed=3"),
    ("train --loss=hinge", "keys have no dashes: say loss=hinge"),
    ("train -m --seed 3", "keys have no dashes: say seed=3"),
    ("train output=", "output= has no value"),
    ("train output=a hydra.run.dir=b", "output=a and hydra.run.dir=b are both a place to write"),
    ("train -m output=a hydra.sweep.dir=b", "are both a place to write; give one"),
    ("train -m hydra.run.dir=b", "hydra.run.dir=b is of no use in a sweep; say output=DIR"),
    ("train hydra.sweep.dir=b", "hydra.sweep.dir=b is of no use without -m; say output=DIR"),
    ("train output=~/x", "output=~/x would be a directory named ~; write output="),
    ("train output=taken", "output=taken cannot be made: it is a file"),
    ("train steps=3 trainer.steps=4", "steps=3 and trainer.steps=4 are two values of one key"),
    ("experiment dirac", "did you mean 'dirac_gan'?"),
    ("experiment dirac_gan --quick true", "keys have no dashes: say quick=true"),
    ("experiment dirac_gan seeds=3", "did you mean 'n_seeds=5' or -m 'seed=range(5)'?"),
    ("selfcheck seeds=3", "did you mean 'n_seeds=5'?"),
    ("selfcheck hydra.run.dir=x", "unknown key 'hydra.run.dir'; did you mean 'output'?"),
    ("compare . hydra.run.dir=x", "unknown key 'hydra.run.dir'; did you mean 'output'?"),
    ("reproduce --list", "keys have no dashes: say list=..."),
    ("resume . output=x", "output=x: resume goes on in the run's directory; fork takes another"),
    ("dashboard . output=x", ". and output=x are two; give one"),
    ("completion fish", "completion of fish is unknown; take one of bash, zsh"),
    ("completion", "completion takes one shell, bash or zsh, got 0"),
]


@pytest.mark.parametrize(("typed", "said"), MISTAKES, ids=[typed for typed, _ in MISTAKES])
def test_a_natural_mistake_is_answered_by_what_was_meant(typed, said, workdir, capsys):
    (workdir / "taken").write_text("x")
    assert main(*typed.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert files(workdir) == [(workdir / "taken").relative_to(workdir)]


# Short names and output=


def test_short_names_stand_for_the_dotted_keys():
    typed = ["steps=5", "lr=1e-3,1e-4", "+batch_size=8", "seed=1", "n_critic=2"]
    assert long_names(typed) == [
        *("trainer.steps=5", "optim.lr=1e-3,1e-4", "+trainer.batch_size=8"),
        *("seed=1", "trainer.n_critic=2"),
    ]
    assert long_names(["steps=5", "trainer.steps=5"]) == ["trainer.steps=5"]
    assert HydraArguments("experiment").read(["steps=5"]).overrides == ["steps=5"]  # its own key


@pytest.mark.parametrize("name", ["plain", "a b", "it's", "x=[1],${y}", "back\\slash\\", "\\'"])
def test_output_is_taken_as_it_is_typed(name, workdir):
    ((key_value),) = long_names([f"output={name}"])
    key, _, quoted = key_value.partition("=")
    assert key == "hydra.run.dir"
    if "$" not in name:
        compose_config("train", [f"{key}={quoted}"])
        assert run_directory() == workdir / name


def test_a_run_records_long_names_and_lies_where_output_says(workdir):
    cheap = [each for each in RING if key_of(each) != "trainer.steps"]
    assert main("train", *cheap, "steps=2", "lr=1e-3", "output=a run") == 0
    status = json.loads((workdir / "a run" / "status.json").read_text())
    assert status["overrides"][-2:] == ["trainer.steps=2", "optim.lr=1e-3"]
    assert main("resume", "a run", "steps=4") == 0
    assert main("fork", "a run", "loss=hinge", "steps=6", "lr=1e-4", "output=forked") == 0
    config = OmegaConf.load("forked/config.yaml")
    assert (config.trainer.steps, config.optim.lr) == (6, 1e-4)
    assert main("sample", "a run", "n=2", "output=samples") == 0
    assert main("evaluate", "a run", "output=estimates") == 0
    assert main("compare", "a run", "output=page") == 0
    assert sorted(path.name for path in workdir.iterdir()) == [
        *("a run", "estimates", "forked", "page", "samples")
    ]
    assert [p.name for p in (workdir / "samples").iterdir()] == ["sample_step_00000004_seed_0.npy"]
    assert (workdir / "estimates" / "step_00000004.json").exists()
    assert not (workdir / "a run" / "evaluation").exists()


def test_estimates_of_several_runs_and_seeds_lie_apart(workdir):
    for name, seeds in (("one", 1), ("two", 2)):
        train(name, *RING, "trainer.steps=2", f"n_seeds={seeds}")
    assert main("evaluate", "one", "two", "output=all") == 0
    found = sorted(str(p.relative_to(workdir / "all")) for p in workdir.glob("all/**/*.json"))
    file = "step_00000002.json"
    assert found == [f"one/{file}", f"two/seed_0/{file}", f"two/seed_1/{file}"]
    assert main("evaluate", "one", "one", "output=twice") == 2


def test_a_sweep_takes_short_names_and_output(workdir):
    here = ("output=sweep", "hydra.launcher.n_jobs=1")
    assert main("train", "-m", *RING, "steps=2", "lr=1e-3,1e-4", *here) == 0
    rates = [OmegaConf.load(path).optim.lr for path in sorted(workdir.glob("sweep/*/config.yaml"))]
    assert rates == [1e-3, 1e-4]


# Help


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_shows_a_sentence_lines_to_paste_and_every_key(command, workdir, capsys):
    assert main(command, "--help") == 0
    out, err = capsys.readouterr()
    first, empty, example = out.splitlines()[:3]
    assert first.endswith(".")
    assert (empty, err) == ("", "")
    assert "python -m gan_lab " in example
    assert f"Usage: python -m gan_lab {command}" in out
    keys = keys_of(COMMANDS[command])
    assert all(f"  {name}=" in out for name in keys)
    assert ("output" in keys) == (command not in ("resume", "divergence", "completion"))
    assert max(map(len, out.splitlines())) <= 100
    for line in out.splitlines():  # what a shell would eat is quoted
        if line.startswith("  python -m gan_lab"):
            bare = [word for word in line.split() if set(word) & set("[]()*")]
            assert all(word.startswith("'") for word in bare), line
    assert files(workdir) == []


def test_help_of_train_explains_choices_and_keys_by_the_yaml_files(capsys):
    assert main("train", "--help") == 0
    out = " ".join(capsys.readouterr().out.split())
    for group in catalogue.groups():
        for choice in names(group):
            sentence = catalogue.sentence(group, choice)
            assert sentence, f"conf/{group}/{choice}.yaml begins with no sentence"
            assert sentence in out
    assert "trainer.log_every=50 steps" in out
    assert "evaluator.final_n_repeats=10" in out
    assert "experiment:" not in out
    assert "reproduce:" not in out


def test_help_of_a_study_shows_its_keys(capsys):
    assert main("experiment", "dirac_gan", "--help") == 0
    out = capsys.readouterr().out
    assert "field_points=25    arrows along each axis of a vector field (quick: 15)" in out
    assert "  quick=false " in out


def test_no_help_needs_torch_or_hydra(tmp_path):
    program = (
        "import sys; from gan_lab.cli.main import main\n"
        f"for name in {sorted(COMMANDS)}: main([name, '--help'])\n"
        "main(['completion', 'bash']); main(['--help'])\n"
        "assert not {'torch', 'hydra', 'omegaconf', 'numpy', 'rich'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, env=ONE, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


# Completion


COMPLETIONS = [
    ("di", {"divergence"}),
    ("train los", {"loss="}),
    ("train trainer.lo", {"trainer.log_every="}),
    ("train loss = min", {"minimax"}),
    ("train data =", set(names("data"))),
    ("train loss=least", {"loss=least_squares"}),
    ("train preset = wgan_", {"wgan_2017", "wgan_gp_2017"}),
    ("divergence format =", {"table", "json"}),
    ("selfcheck quick = t", {"true"}),
    ("experiment dirac", {"dirac_gan"}),
    ("sample my", {"my run"}),
    ("compare output = my", {"my run"}),
    ("completion z", {"zsh"}),
]


@pytest.mark.parametrize(
    ("typed", "expected"), COMPLETIONS, ids=[typed for typed, _ in COMPLETIONS]
)
def test_bash_completes_commands_keys_choices_and_directories(typed, expected, workdir, capsys):
    (workdir / "my run").mkdir()
    assert main("completion", "bash") == 0
    (workdir / "completion.sh").write_text(capsys.readouterr().out)
    script = (
        f"source completion.sh; COMP_WORDS=(gan_lab {typed}); COMP_CWORD={len(typed.split())}; "
        "_gan_lab; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert set(ended.stdout.splitlines()) == expected


def test_zsh_has_the_same_words(capsys):
    assert main("completion", "zsh") == 0
    out = capsys.readouterr().out
    assert out.startswith("#compdef gan_lab\n")
    assert f"loss) compadd -- {' '.join(names('loss'))} ;;" in out
    assert "trainer.log_every=" in out


def test_every_yaml_file_begins_with_a_sentence_and_a_use():
    for path in (p for n in ("*", "[!reh]*/*", "evaluator/*") for p in CONF.glob(f"{n}.yaml")):
        head = path.read_text().split("\n\n")[0]
        name = path.relative_to(CONF.parent).as_posix()
        assert f"# {name} -- " in head, name
        assert "# Use: " in head, name
