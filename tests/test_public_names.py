"""What a user extends or uses is importable from its package, and cheap to import."""

import subprocess
import sys
from importlib import import_module

import pytest
import yaml

from tests.helpers import CONF, ONE, ROOT

HEAVY = {"hydra", "omegaconf", "matplotlib", "scipy", "torchvision", "sklearn", "ot", "plotly"}
# The classes to inherit from, and what their pages in docs/extend use beside them.
BASES = {
    "losses": {"AdversarialLoss", "LossCard", "check_paired"},
    "regularizers": {"Regularizer", "GradientNormPenalty", "Score", "Tensors", "input_gradient"},
    "networks": {"NetworkPair", "Packing", "Reshape"},
    "data": {"Data", "Distribution", "Mixture", "Modes", "Source", "TensorSource"},
    "metrics": {"Metric", "MetricFunction", "Estimate", "Evaluator", "exact_wasserstein"},
    "loggers": {"Logger", "LoggerFactory", "JsonlLogger", "TensorBoardLogger", "TrackioLogger"},
    "experiments": {"Experiment", "Lab", "Arrays", "Result", "Claim"},
}
each_package = pytest.mark.parametrize("package", BASES)


def targets(node):
    """The dotted names of the classes that a config file builds."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from [value] if key == "_target_" else targets(value)


TARGETS = {
    target
    for path in CONF.rglob("*.yaml")
    for target in targets(yaml.safe_load(path.read_text()))
    if target.split(".")[1] in BASES
}


@each_package
def test_its_classes_to_extend_are_in_all(package):
    public = import_module(f"gan_lab.{package}")
    assert set(public.__all__) >= BASES[package]
    assert len(set(public.__all__)) == len(public.__all__)
    for name in public.__all__:
        assert getattr(public, name) is not None
    assert set(public.__all__) <= set(dir(public))
    with pytest.raises(AttributeError, match="no_such_name"):
        public.no_such_name  # noqa: B018


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_class_of_a_config_file_is_public(target):
    module, _, name = target.rpartition(".")
    public = import_module(".".join(target.split(".")[:2]))
    assert name in public.__all__
    assert getattr(public, name) is getattr(import_module(module), name)


def test_config_files_of_each_package_are_looked_at():
    assert {target.split(".")[1] for target in TARGETS} == set(BASES)
    assert len(TARGETS) > 40


@each_package
def test_importing_it_is_cheap(package):
    code = (
        f"import sys, gan_lab.{package}\n"
        f"print(sorted({HEAVY!r} & {{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=ONE, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
