"""The contract of studies: each file in conf/experiment is tested by being there."""

import dataclasses
import json
import re
import resource

import numpy as np
import pytest

from gan_lab.cli.experiment import study_of
from gan_lab.config.catalogue import choices
from gan_lab.config.compose import compose_config
from gan_lab.experiments import runner
from gan_lab.experiments.base import Experiment
from gan_lab.experiments.claims import FAIL, RELATIONS
from gan_lab.runs.run_dir import plain
from tests.helpers import CONF, files, main

STUDIES = choices("experiment")
# Performed with quick=true by default: under 20 s on two cores. The others are `slow`.
CHEAP = {"cross_entropy_gradients", "divergence_zoo"}
LONGEST_QUICK = 120  # seconds of processor: a minute on two cores, however busy they are

RECORD = {"experiment", "question", "reference", "config", "seconds", "claims", "notes"}
CLAIM = {
    *("id", "statement", "measured", "low", "high", "relation", "expected", "tolerance", "unit"),
    *("source", "verdict"),
}
each_study = pytest.mark.parametrize("name", STUDIES)


def test_there_are_studies():
    assert set(STUDIES) >= CHEAP


@each_study
@pytest.mark.parametrize("quick", [False, True])
def test_it_composes_with_and_without_quick(name, quick):
    study, plain = study_of(compose_config("experiment", [f"experiment={name}", f"quick={quick}"]))
    assert isinstance(study, Experiment)
    assert plain["quick"] is quick
    assert plain["n_seeds"] >= 1


@each_study
@pytest.mark.parametrize("quick", [False, True])
def test_a_typed_key_wins(name, quick):
    typed = [f"experiment={name}", f"quick={quick}", "n_seeds=7", "seed=100"]
    _, plain = study_of(compose_config("experiment", typed))
    assert (plain["n_seeds"], plain["seed"]) == (7, 100)


@each_study
def test_its_class_says_what_it_is(name):
    study, _ = study_of(compose_config("experiment", [f"experiment={name}"]))
    for text in (study.title, study.question, study.reference):
        assert text.strip()
        assert text.isascii()
    assert study.question.endswith("?")
    assert dataclasses.is_dataclass(study)
    assert type(study).__dataclass_params__.frozen
    for field in dataclasses.fields(study):
        named = re.search(rf"^ +(\w+, )*{field.name}(, \w+)*: ", type(study).__doc__, re.MULTILINE)
        assert named, f"{field.name} is not documented"


@each_study
def test_its_file_says_what_it_is_and_explains_itself(name):
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    first, second = text.splitlines()[:2]
    assert first == "# @package _global_"
    assert second.startswith(f"# conf/experiment/{name}.yaml -- ")
    assert text.isascii()
    # quick=true has to mean something.
    assert "${full_or_quick:" in text


@each_study
def test_its_keys_can_be_typed(name):
    # Hydra takes data=... for the group conf/data and refuses it where no such choice is made.
    study, _ = study_of(compose_config("experiment", [f"experiment={name}"]))
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert {field.name for field in dataclasses.fields(study)} & groups == set()


def processor_seconds():
    """Of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def performed(name):
    mark = () if name in CHEAP else pytest.mark.slow
    return pytest.param(name, marks=mark)


@pytest.mark.parametrize("name", [performed(name) for name in STUDIES])
def test_quick_is_quick_and_nothing_fails_and_pictures_come_from_disk(workdir, name):
    home = workdir / "study"
    before = processor_seconds()
    assert main("experiment", name, "quick=true", "device=cpu", f"hydra.run.dir={home}") == 0
    assert processor_seconds() - before < LONGEST_QUICK
    record = json.loads((home / "result.json").read_text())
    assert set(record) == RECORD
    assert record["experiment"] == name
    assert record["config"]["quick"] is True

    claims = record["claims"]
    ids = [claim["id"] for claim in claims]
    assert claims
    assert len(set(ids)) == len(ids)
    for claim in claims:
        assert set(claim) == CLAIM, claim["id"]
        assert claim["id"].isidentifier(), claim["id"]
        assert claim["relation"] in RELATIONS
        assert claim["statement"].isascii()
        assert claim["source"], f"{claim['id']} does not say where its number comes from"
    assert [claim["id"] for claim in claims if claim["verdict"] == FAIL] == []

    arrays = runner.load_arrays(home)
    assert {array.dtype.kind for array in arrays.values()} <= set("fiubU")
    study, _ = study_of(compose_config("experiment", [f"experiment={name}", "quick=true"]))
    again = json.loads(json.dumps([plain(c.record()) for c in study.claims(arrays)]))
    assert again == claims
    assert study.notes(arrays) == record["notes"]
    for steps, values in study.curves(arrays).values():
        assert np.issubdtype(np.asarray(steps).dtype, np.integer)
        assert len(steps) == len(values)

    pictures = {path: path.read_bytes() for path in sorted((home / "figures").iterdir())}
    assert any(path.suffix == ".png" for path in pictures)
    for path in pictures:
        path.unlink()
    before = set(files(home))
    assert main("experiment", home) == 0
    assert {path: path.read_bytes() for path in sorted((home / "figures").iterdir())} == pictures
    new = {path for path in set(files(home)) - before if path.parts[0] != "figures"}
    assert new == set()
