"""Inception's metrics: a weights file is needed, and with one the numbers are torchmetrics'."""

import pickle

import pytest
import torch
from torch import nn

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Ring
from gan_lab.errors import ConfigError
from gan_lab.metrics.features import inception
from gan_lab.metrics.features.frechet import frechet_distance
from gan_lab.metrics.features.inception import Inception, as_rgb
from gan_lab.metrics.features.kernel_distance import kernel_distance
from gan_lab.metrics.features.scores import classifier_score
from tests.helpers import CPU, seeded

DATA = Digits().open(CPU)
REAL = DATA.held_out(12, seeded(0))
FAKE = (REAL + 0.3 * torch.randn(REAL.shape, generator=seeded(1))).clamp(-1, 1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file in torch-fidelity's format with random weights that keep the images' variance."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Untrained(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict):
            torch.manual_seed(0)
            for each in self.modules():
                if isinstance(each, nn.Conv2d):
                    nn.init.kaiming_normal_(each.weight)
            nn.init.normal_(self.fc.weight, std=0.1)

    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        torch.save(Untrained("untrained", ["2048"]).state_dict(), path)
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_numbers_are_those_of_torchmetrics_on_the_networks_features(weights):
    fid = pytest.importorskip("torchmetrics.image.fid")
    kid = pytest.importorskip("torchmetrics.image.kid")
    score = pytest.importorskip("torchmetrics.image.inception")
    got = Inception(str(weights)).prepare(DATA)(FAKE, REAL)
    assert got.keys() == Inception.units.keys()

    # Their own resizing is another one, so they get the same network as theirs.
    network = inception._network(str(weights))
    last, logits = (nn.Module() for _ in range(2))
    last.forward = lambda x: network(x)[0].double()
    logits.forward = lambda x: network(x)[1].double()
    last.num_features = 2048
    distance = fid.FrechetInceptionDistance(feature=last).set_dtype(torch.float64)
    kernel = kid.KernelInceptionDistance(feature=last, subsets=1, subset_size=12)
    for metric in (distance, kernel):
        metric.update(as_rgb(REAL), real=True)
        metric.update(as_rgb(FAKE), real=False)
    likeness = score.InceptionScore(feature=logits, splits=1)
    likeness.update(as_rgb(FAKE))
    # Covariances of rank 11 in 2048 dimensions: the root of an eigenvalue off by 1e-13 is 3e-7.
    assert got["inception/fid"] == pytest.approx(float(distance.compute()), rel=1e-3)
    assert got["inception/fid"] > 0
    assert got["inception/kid"] == pytest.approx(float(kernel.compute()[0]), rel=1e-3)
    assert got["inception/is"] == pytest.approx(float(likeness.compute()[0]), rel=1e-5)


def quarters(images):
    """In place of the network: the means of an image's quarters."""
    features = nn.functional.adaptive_avg_pool2d(images.double().mean(dim=1), 2).flatten(1) / 255
    return features, features


def test_many_images_pass_in_parts(monkeypatch):
    sizes = []

    class Network(nn.Module):
        def forward(self, images):
            sizes.append(len(images))
            return quarters(images)

    monkeypatch.setattr(inception, "_network", lambda weights: Network())
    evaluate = Inception("any").prepare(DATA)
    fake, real = FAKE.repeat(4, 1, 1, 1), REAL
    got = evaluate(fake, real)
    assert sizes == [12, 32, 16]
    (x, _), (y, _) = quarters(as_rgb(fake)), quarters(as_rgb(real))
    assert got["inception/fid"] == frechet_distance(x, y)
    assert got["inception/kid"] == kernel_distance(x, y, scale=4)[0]
    assert got["inception/is"] == classifier_score(x.log_softmax(dim=1))


def test_the_weights_are_loaded_once_for_check_and_measurement(monkeypatch):
    loaded = []

    def network(weights):
        loaded.append(weights)
        return nn.Identity()

    monkeypatch.setattr(inception, "_network", network)
    metric = Inception("any")
    metric.check(DATA)
    metric.prepare(DATA)
    assert loaded == ["any"]


def test_images_become_eight_bits_of_three_channels():
    grey = torch.tensor([-1.0, 0.0, 1.0, 1.2]).reshape(1, 1, 2, 2)
    rgb = as_rgb(grey)
    assert (rgb.dtype, tuple(rgb.shape)) == (torch.uint8, (1, 3, 2, 2))
    for channel in rgb[0]:
        assert channel.flatten().tolist() == [0, 128, 255, 255]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "need Inception's weights, which nobody ships: get https"),
        ("missing.pth", "weights=missing.pth is no file; get https"),
        (".", "is no file"),
    ],
)
def test_without_a_weights_file_one_line_says_where_to_get_it(path, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        Inception(path).prepare(DATA)
    text = str(refusal.value)
    assert inception.WEIGHTS_URL in text
    assert text.endswith("and say metrics.inception.weights=FILE")
    assert "\n" not in text


def test_points_are_refused():
    with pytest.raises(ConfigError, match=r"data have shape \[2\]; take inception out of metrics"):
        Inception("any").prepare(Ring().open(CPU))


def test_without_the_package_one_line_says_how_to_install_it(monkeypatch, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"any")
    monkeypatch.setitem(
        __import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None
    )
    with pytest.raises(ConfigError, match=r"pip install 'gan-vs-wgan-lab\[inception\]'") as refusal:
        Inception(str(tmp_path / "weights.pth")).prepare(DATA)
    assert "\n" not in str(refusal.value)


class Payload:
    """What a pickle could run."""

    def __reduce__(self):
        return (pytest.fail, ("the file was run",))


@pytest.mark.parametrize("content", ["state", "other", "payload", "text"])
def test_a_file_of_something_else_is_refused_and_never_run(content, tmp_path):
    pytest.importorskip("torch_fidelity")
    path = tmp_path / "weights.pth"
    if content == "payload":
        path.write_bytes(pickle.dumps(Payload()))
    elif content == "text":
        path.write_text("not found")
    else:
        torch.save({"fc.weight": torch.zeros(3)} if content == "state" else [1, 2], path)
    with pytest.raises(ConfigError, match=r"is not torch-fidelity's Inception v3 \(") as refusal:
        Inception(str(path)).prepare(DATA)
    assert "\n" not in str(refusal.value)
