"""The contract of studies: each file in conf/experiment is tested by being there."""

import dataclasses
import json
import math
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
from gan_lab.experiments.critic_surfaces.study import CriticSurfaces
from gan_lab.experiments.cross_entropy_gradients.study import CrossEntropyGradients
from gan_lab.experiments.curves_that_mean_something.study import CurvesThatMeanSomething
from gan_lab.experiments.dirac_gan.study import DiracGan
from gan_lab.experiments.divergence_zoo.study import DivergenceZoo
from gan_lab.runs.run_dir import plain
from tests.helpers import CONF, files, main

STUDIES = choices("experiment")
# Performed by default, smaller than quick=true makes it; as it is, each is `slow`.
SMALL = ("cross_entropy_gradients", ("n_starts=5", "fit_steps=400"))
LONGEST_QUICK = 80  # seconds of processor: 40 on two cores, however busy they are
LONGEST = {"losses_on_images": 420}  # trials of every loss: three and a half minutes of two cores

RECORD = {"experiment", "question", "reference", "config", "seconds", "claims", "notes"}
RECORD |= {"answer"}
CLAIM = {
    *("id", "statement", "measured", "low", "high", "relation", "expected", "tolerance", "unit"),
    *("source", "kind", "verdict"),
}
each_study = pytest.mark.parametrize("name", STUDIES)


def test_there_are_studies():
    assert SMALL[0] in STUDIES


@each_study
@pytest.mark.parametrize("quick", [False, True])
def test_it_composes_with_and_without_quick_and_a_typed_key_wins(name, quick):
    words = [f"experiment={name}", f"quick={quick}"]
    study, plain = study_of(compose_config("experiment", words))
    assert isinstance(study, Experiment)
    assert plain["quick"] is quick
    assert plain["n_seeds"] >= 1
    _, plain = study_of(compose_config("experiment", [*words, "n_seeds=7", "seed=100"]))
    assert (plain["n_seeds"], plain["seed"]) == (7, 100)


@each_study
def test_its_class_says_what_it_is_and_its_keys_can_be_typed(name):
    study, _ = study_of(compose_config("experiment", [f"experiment={name}"]))
    # Hydra takes data=... for the group conf/data and refuses it where no such choice is made.
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert {field.name for field in dataclasses.fields(study)} & groups == set()
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


ON_LINE = {"p_means": (0.0,), "p_stds": (1.0,)}
HALVES = {"p": (0.5, 0.5), "q": (0.5, 0.5)}


@pytest.mark.parametrize(
    ("study", "keys", "says"),
    [
        (CriticSurfaces, {"width": 0}, "CriticSurfaces.width=0"),
        (CriticSurfaces, {"bound": 0.0}, "CriticSurfaces.bound=0.0"),
        (CriticSurfaces, {"deep_bounds": (0.1,)}, "CriticSurfaces.deep_bounds=[0.1]"),
        (CriticSurfaces, {"deep_bounds": (0.01, 0.1)}, "CriticSurfaces.deep_bounds=[0.01, 0.1]"),
        (CrossEntropyGradients, {"learning_rate": 1.5}, "CrossEntropyGradients.learning_rate=1.5"),
        (CrossEntropyGradients, {"threshold": 0.5}, "CrossEntropyGradients.threshold=0.5"),
        (CrossEntropyGradients, {"n_train": 2000}, "CrossEntropyGradients.n_train=2000"),
        (CrossEntropyGradients, {"fit_steps": 0}, "CrossEntropyGradients.fit_steps=0"),
        (CrossEntropyGradients, {"width": 1.5}, "CrossEntropyGradients.width=1.5"),
        (CurvesThatMeanSomething, {"datasets": ()}, "CurvesThatMeanSomething.datasets=[]"),
        (CurvesThatMeanSomething, {"steps": (800,)}, "steps=[800] needs one number for each"),
        (CurvesThatMeanSomething, {"steps": (10, 800)}, "steps=[10, 800] are fewer than n_points"),
        (CurvesThatMeanSomething, {"methods": ("hinge",)}, "methods=['hinge'] are not among"),
        (CurvesThatMeanSomething, {"filter_width": 4}, "filter_width=4 is even"),
        (CurvesThatMeanSomething, {"clip_lr": 0.0}, "CurvesThatMeanSomething.clip_lr=0.0"),
        (DiracGan, {"learning_rate": 0.0}, "DiracGan.learning_rate=0.0"),
        (DiracGan, {"steps": 0}, "DiracGan.steps=0"),
        (DiracGan, {"theta": math.nan}, "DiracGan.theta=nan"),
        (DiracGan, {"field_points": 2}, "DiracGan.field_points=2"),
        (DivergenceZoo, {"pairs": ("coin",)}, "unknown 'coin'"),
        (DivergenceZoo, {"pairs": ()}, "nothing to compare"),
        (DivergenceZoo, {"p": (0.5, 0.5)}, "not two lists of one length"),
        (DivergenceZoo, {**HALVES, "p": (0.5, 0.6)}, "Zoo.p=[0.5, 0.6] is no distribution"),
        (DivergenceZoo, {**HALVES, "x": (1.0,)}, "one position for each"),
        (DivergenceZoo, {**HALVES, "q_means": (1.0,)}, "either discrete"),
        (DivergenceZoo, {**HALVES, "p": ("a", "b")}, "not a list of numbers"),
        (DivergenceZoo, ON_LINE, "DivergenceZoo.q_stds=None"),
        (DivergenceZoo, {**ON_LINE, "p_stds": (0.0,), "q_means": (0.0,), "q_stds": (1.0,)}, "> 0"),
        (DivergenceZoo, {"target_weights": (0.5, 0.6)}, "weights=[0.5, 0.6] is no distribution"),
        (DivergenceZoo, {"n_scales": 4}, "n_scales=4 is even"),
        (DivergenceZoo, {"n_scales": 1}, "n_scales=1 is not a whole number >= 3"),
    ],
)
def test_a_wrong_key_is_named(study, keys, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        study(**keys)


def processor_seconds():
    """Of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


CASES = [SMALL, *(pytest.param(name, (), marks=pytest.mark.slow) for name in STUDIES)]


@pytest.mark.parametrize(("name", "more"), CASES)
def test_quick_is_quick_and_nothing_fails_and_pictures_come_from_disk(workdir, name, more):
    home = workdir / "study"
    before = processor_seconds()
    assert main("experiment", name, "quick=true", *more, "device=cpu", f"hydra.run.dir={home}") == 0
    assert processor_seconds() - before < LONGEST.get(name, LONGEST_QUICK)
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
    assert study.answer(arrays) == record["answer"]
    for steps, values in study.curves(arrays).values():
        assert np.issubdtype(np.asarray(steps).dtype, np.integer)
        assert len(steps) == len(values)

    page = (home / "index.html").read_bytes()
    pictures = {path: path.read_bytes() for path in sorted((home / "figures").iterdir())}
    assert any(path.suffix == ".png" for path in pictures)
    for path in pictures:
        path.unlink()
    before = set(files(home))
    assert main("experiment", home) == 0
    assert {path: path.read_bytes() for path in sorted((home / "figures").iterdir())} == pictures
    new = {path for path in set(files(home)) - before if path.parts[0] != "figures"}
    assert new == set()
    assert (home / "index.html").read_bytes() == page
