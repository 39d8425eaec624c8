"""export: what is loaded again makes the same samples, in every format."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_lab.engine.rng import stream
from gan_lab.networks import Dcgan, Mlp
from gan_lab.reports.export import generator
from gan_lab.reports.export.generator import SUFFIXES, export_generator
from tests.helpers import DIGITS, RING, files, main, seeded, train

FORMATS = tuple(SUFFIXES)
NETWORKS = {"ring": Mlp(latent_dim=2, width=8), "digits": Dcgan(latent_dim=16, width=4)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of two seeds on points, and one of a convolutional network on images."""
    home = tmp_path_factory.mktemp("runs")
    ring = ("trainer.steps=4", "n_seeds=2", "network.latent_dim=2", "network.depth=3")
    digits = ("trainer.steps=2", "network.latent_dim=16", "loss=non_saturating")
    return {
        "ring": train(home / "ring", *RING, *ring),
        "digits": train(home / "digits", *DIGITS, *digits),
    }


def load(path, name):
    """A function of z, the description that the file holds; as somebody without gan_lab would."""
    if path.suffix == ".safetensors":
        safetensors = pytest.importorskip("safetensors", reason="format=safetensors needs it")
        shape = {"ring": (2,), "digits": (1, 8, 8)}[name]
        module = NETWORKS[name].generator(shape).eval()
        with safetensors.safe_open(path, "pt") as file:
            module.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
            return module, json.loads(file.metadata()["gan_lab"])
    if path.suffix == ".pt2":
        extra = {"gan_lab.json": ""}
        program = torch.export.load(path, extra_files=extra)
        return program.module(), json.loads(extra["gan_lab.json"])
    runtime = pytest.importorskip("onnxruntime", reason="reading .onnx needs it")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    text = session.get_modelmeta().custom_metadata_map["gan_lab"]
    return lambda z: torch.from_numpy(session.run(None, {"z": z.numpy()})[0]), json.loads(text)


def need(format):
    for package in generator._FORMATS[format][2]:
        pytest.importorskip(package, reason=f"format={format} needs it")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_loaded_again_makes_the_same_samples(format, name, runs, workdir):
    need(format)
    path = Path(f"g{SUFFIXES[format]}")
    assert main("export", runs[name], f"format={format}", f"output={path}") == 0
    assert main("sample", runs[name], "n=5", "output=s.npy") == 0
    generate, description = load(path, name)
    z = torch.randn((5, description["latent_dim"]), generator=stream(0, "sample"))
    samples, tolerances = torch.from_numpy(np.load("s.npy")), {"rtol": 0, "atol": 0}
    if format == "torch_export":
        tolerances = {"rtol": 1e-6, "atol": 1e-6}
    elif format == "onnx":
        tolerances = {"rtol": 1e-4, "atol": 1e-6}
    with torch.no_grad():
        torch.testing.assert_close(generate(z), samples, **tolerances)
        for n in (1, 3):  # any number of z, not that of the export
            torch.testing.assert_close(generate(z[:n]), samples[:n], rtol=1e-4, atol=1e-6)
    assert description["shape"] == list(samples.shape[1:])
    config = (runs[name] / "config.yaml").read_bytes()
    assert description["config_sha256"] == hashlib.sha256(config).hexdigest()
    assert description["network"]["_target_"].endswith(type(NETWORKS[name]).__name__)


def test_seed_chooses_among_several_and_the_run_is_the_place_by_default(runs, capsys):
    need("safetensors")
    ring = runs["ring"]
    for typed, seed in ((ring, 0), (ring, 1), (ring / "seed_1", 1)):
        keys = [f"seed={seed}"] if seed and typed == ring else []
        assert main("export", typed, *keys) == 0
        expected = typed / "export" / f"generator_step_00000004_seed_{seed}.safetensors"
        assert capsys.readouterr().out.strip() == str(expected)
        assert load(expected, "ring")[1]["seed"] == seed
    weights = []
    for home, seed in ((ring, 0), (ring, 1), (ring / "seed_1", 1)):
        content = (home / f"export/generator_step_00000004_seed_{seed}.safetensors").read_bytes()
        weights.append(content[8 + int.from_bytes(content[:8], "little") :])  # after the header
    assert weights[0] != weights[1] == weights[2]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["seed=7"], "seed=7 is none that can be exported; ring has 0, 1"),
        (
            ["format=pickle"],
            "format=pickle is unknown; take one of safetensors, torch_export, onnx",
        ),
        (["output=g.onnx"], "output=g.onnx is a name for format=onnx, but format is safetensors"),
        (["step=3"], "step 3"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_written(
    keys, said, runs, workdir, monkeypatch, capsys
):
    need("safetensors")
    monkeypatch.chdir(runs["ring"].parent)
    before = files(runs["ring"].parent)
    assert main("export", "ring", *keys) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert files(runs["ring"].parent) == before


def test_a_missing_package_is_said_with_the_command_that_brings_it(runs, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if "onnx" in n else find(n))
    assert main("export", runs["ring"], "format=onnx") == 2
    assert capsys.readouterr().err == (
        "ConfigError: format=onnx needs onnx and onnxscript, not installed here: "
        "pip install -e '.[export]' in the source tree\n"
    )


def test_a_file_that_is_there_is_replaced_whole_or_not_at_all(workdir):
    path, module = Path("g.pt2"), NETWORKS["ring"].generator((2,)).eval()
    path.write_bytes(b"old")
    broken = NETWORKS["ring"].generator((2,)).eval()
    broken[0].weight.data[0, 0] = torch.inf
    with pytest.raises(generator.ConfigError, match="not finite"):
        export_generator(broken, 2, {}, "torch_export", path)
    assert path.read_bytes() == b"old"
    export_generator(module, 2, {}, "torch_export", path)
    assert [file.name for file in files(workdir)] == ["g.pt2"]
    z = torch.randn(3, 2, generator=seeded())
    torch.testing.assert_close(torch.export.load(path).module()(z), module(z))


class Counts(torch.nn.Module):
    """A generator whose program is for one batch size alone."""

    def forward(self, z):
        return z * len(z)


@pytest.mark.parametrize("format", ["torch_export", "onnx"])
def test_a_program_for_one_batch_size_is_refused(format, workdir):
    need(format)
    with pytest.raises(generator.ConfigError, match=f"no form as {format}.*x.shape") as refused:
        export_generator(Counts().eval(), 2, {}, format, Path("g"))
    assert "\n" not in str(refused.value)
    assert files(workdir) == []
