import importlib
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.networks.conv import (
    ChannelsToPixels,
    Conv,
    FlattenPixels,
    PixelsToChannels,
    UnflattenPixels,
)
from gan_lab.networks.dcgan import Dcgan
from gan_lab.runs.run_dir import RunDir

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--quick", "--rounds", "2", "--seconds", "0.01", "--precision", "f32", "--modes", "eager"]


@pytest.fixture(scope="module", autouse=True)
def _scripts():
    sys.path.insert(0, str(ROOT / "scripts"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    sys.path.remove(str(ROOT / "scripts"))


def part(name):
    return importlib.import_module(f"benchmarking.{name}")


@pytest.fixture(scope="module")
def benchmark():
    return importlib.import_module("benchmark")


def run(benchmark, folder, *arguments):
    """The script's exit code and what it wrote."""
    code = benchmark.main([*TINY, "--json", str(folder / "here.json"), *arguments])
    return code, json.loads((folder / "here.json").read_text())


@pytest.fixture(scope="module")
def tiny(benchmark, tmp_path_factory):
    """One small row, with a page and a peer."""
    folder = tmp_path_factory.mktemp("tiny")
    peer = folder / "loop.py"
    peer.write_text('"""Sleeps."""\nimport time\ndef step():\n    time.sleep(0.004)\n')
    page = folder / "page.md"
    rows = ["--rows", "seeds4_mlp16", "--markdown", str(page), "--peer", str(peer)]
    return *run(benchmark, folder, *rows), page.read_text()


def test_a_small_run_writes_every_rounds_numbers_and_their_ratios_for_each_seed(tiny):
    code, result, _ = tiny
    assert code == 0
    (row,) = result["rows"]
    (variant,) = row["variants"]
    for times in (row["textbook"], variant):
        assert len(times["rounds_ms"]) == 2
        assert times["ms"]["min"] > 0
    assert result["hardware"]["cpu"]
    assert result["versions"]["torch"] == torch.__version__
    assert result["options"]["threads"] == 1
    assert variant["limit"]["best"] > 0
    assert variant["fraction"]["torch"] > 0
    theirs, ours = row["textbook"]["rounds_ms"], variant["rounds_ms"]
    expected = [4 * a / b for a, b in zip(theirs, ours, strict=True)]
    assert variant["ratio"]["rounds"] == pytest.approx(expected, rel=1e-9)
    assert variant["ratio"]["median"] == pytest.approx(sum(expected) / 2, rel=1e-9)
    prices = [a / b for a, b in zip(ours, variant["one_ms"]["rounds"], strict=True)]
    assert variant["price"]["rounds"] == pytest.approx(prices, rel=1e-9)


def test_the_page_shows_the_row_with_hardware_and_versions(tiny):
    _, result, page = tiny
    (row,) = result["rows"]
    median = row["variants"][0]["ratio"]["median"]
    assert f"| seeds4_mlp16 | eager f32 | {median:.2f} |" in page
    heading = next(line for line in page.split("\n") if line.startswith("## CPU"))
    assert result["hardware"]["cpu"] in heading
    assert torch.__version__ in heading


def test_a_peer_is_timed_beside_both(tiny):
    (row,) = tiny[1]["rows"]
    peer = row["peer"]
    assert peer["name"] == "loop"
    assert tiny[1]["options"]["peer"] == "Sleeps."
    assert peer["ms"]["min"] >= 4.0
    theirs = row["textbook"]["rounds_ms"]
    expected = [a / b for a, b in zip(theirs, peer["rounds_ms"], strict=True)]
    assert peer["ratio"]["rounds"] == pytest.approx(expected, rel=1e-9)


def test_a_peers_sizes_choose_its_rows(tmp_path):
    file = tmp_path / "loop.py"
    file.write_text("SIZES = {'game': 'wgan_gp', 'width': 64, 'shape': [2]}\ndef step(): pass\n")
    peer, rows = part("measure").Peer.load(file), part("rows").ROWS
    suited = {row.name for row in rows if peer.suits(row.work)}
    assert suited == {"wgan_gp_mlp64", *(f"seeds{n}_mlp64" for n in (1, 4, 16, 64))}
    file.write_text("SIZES = {'widht': 64}\ndef step(): pass\n")
    with pytest.raises(ValueError, match="widht"):
        part("measure").Peer.load(file)
    file.write_text("pass\n")
    with pytest.raises(ValueError, match="no step"):
        part("measure").Peer.load(file)


def analytic(work, penalty):
    """The products of one step, no more than are needed; what they compute does not matter."""
    n = work.batch_size
    g = [(work.latent_dim, work.width), *[(work.width, work.width)] * 2, (work.width, work.n_in)]
    d = [(work.n_in, work.width), *[(work.width, work.width)] * 2, (work.width, 1)]

    def multiply(shapes):
        for m, k, n in shapes:
            torch.zeros(m, k) @ torch.zeros(k, n)

    def forward(net):
        multiply((n, n_in, n_out) for n_in, n_out in net)

    def weights(net):
        multiply((n_in, n, n_out) for n_in, n_out in net)

    def inputs(net):
        multiply((n, n_out, n_in) for n_in, n_out in net)

    for _ in range(work.n_critic):
        forward(g)
        for _ in range(2):  # real, fake
            forward(d)
            weights(d)
            inputs(d[1:])
        if penalty:
            forward(d)
            inputs(d)
            forward(d[:-1])  # the tangents of the slope
            weights(d)
    forward(g)
    forward(d)
    inputs(d)
    weights(g)
    inputs(g[1:])


@pytest.mark.parametrize("game", ["wgan_gp", "wgan_clip", "non_saturating"])
@pytest.mark.parametrize("width", [16, 512])
def test_the_formula_counts_what_torch_counts_of_a_step_by_hand(game, width):
    rows = part("rows")
    work = rows.Work(game, "mlp", width, n_critic=1 if game == "non_saturating" else 5)
    with FlopCounterMode(display=False) as counter:
        analytic(work, game == "wgan_gp")
    assert part("flops").needed(work) == counter.get_total_flops()


def test_the_hidden_part_of_wgan_gp_is_240_b_w_squared():
    work = part("rows").Work("wgan_gp", "mlp", 4096)
    hidden, needed = 240 * work.batch_size * work.width**2, part("flops").needed(work)
    assert hidden < needed == pytest.approx(hidden, rel=2e-3)


def test_the_textbook_is_counted_as_torch_counts_it():
    rows, flops = part("rows"), part("flops")
    work = rows.Work("non_saturating", "mlp", 64, n_critic=1)
    textbook = part("textbook").Textbook(work, torch.randn(100, 2))
    with FlopCounterMode(display=False) as counter:
        textbook.step()
    assert flops.counted(textbook.step) == counter.get_total_flops()
    assert flops.needed(work) < counter.get_total_flops() < 1.2 * flops.needed(work)


@pytest.mark.parametrize(
    ("network", "size"), [("dcgan", 28), ("dcgan", 32), ("dcgan", 64), ("conv", 28), ("conv", 32)]
)
def test_both_have_the_same_convolutional_networks(network, size):
    work = part("rows").Work("wgan_gp", network, 8, (3, size, size), 4, 16)
    generator, discriminator = part("textbook").networks(work)
    pair = {"dcgan": Dcgan, "conv": Conv}[network](16, 8)
    ours = pair.generator(work.shape), pair.discriminator(work.shape)
    layout = (torch.nn.Flatten, torch.nn.Unflatten, torch.nn.PixelUnshuffle, torch.nn.PixelShuffle)
    layout += (FlattenPixels, UnflattenPixels, PixelsToChannels, ChannelsToPixels)
    for mine, theirs in zip(ours, (generator, discriminator), strict=True):
        assert [p.shape for p in mine.parameters()] == [p.shape for p in theirs.parameters()]
        of = [[type(m) for m in net if not isinstance(m, layout)] for net in (mine, theirs)]
        of = [
            [torch.nn.LeakyReLU if issubclass(m, torch.nn.LeakyReLU) else m for m in each]
            for each in of
        ]
        assert of[0] == of[1]
    fake = generator(torch.randn(4, 16))
    assert fake.shape == (4, 3, size, size)
    assert discriminator(fake).shape == (4, 1)


def test_a_convolution_s_limit_is_the_product_that_it_amounts_to():
    rows, limits = part("rows"), part("limits")
    work = {row.name: row.work for row in rows.ROWS}
    conv = [(1, 32 * 49, 16 * 16, 32), (1, 32 * 16, 9 * 32, 64)]
    assert limits.shapes(work["wgan_gp_conv28"]) == conv
    dcgan = [(1, 64 * 16 * 16 // s, 16 * c, 2 * c) for s, c in ((4, 64), (16, 128))]
    assert limits.shapes(work["wgan_gp_dcgan32"]) == dcgan


def test_ratios_and_their_summary():
    timing = part("timing")
    ratios = timing.ratios([2.0, 3.0, 8.0], [1.0, 2.0, 2.0], seeds=4)
    assert ratios == [8.0, 6.0, 16.0]
    quartiles = {"quartile_low": 7.0, "median": 8.0, "quartile_high": 12.0}
    assert timing.summary(ratios) == {**quartiles, "min": 6.0, "max": 16.0}


def test_contestants_take_turns_and_keep_their_own_precision():
    timing, order, seen = part("timing"), [], set()

    def step(name):
        order.append(name)
        seen.add((name, torch.backends.mkldnn.matmul.fp32_precision))
        time.sleep(0.001)

    def build():
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        return lambda: step("bf16")

    cpu = torch.device("cpu")
    narrow = timing.built("bf16", build, cpu)
    plain = timing.built("f32", lambda: partial(step, "f32"), cpu)
    order.clear()
    seen.clear()
    timing.interleaved([plain, narrow], cpu, rounds=4, seconds=0.0)
    rest = timing.AT_REST.values[0]
    assert seen == {("f32", rest), ("bf16", "bf16")}
    assert order[2:] == ["f32", "bf16", "bf16", "f32"] * 2
    assert torch.backends.mkldnn.matmul.fp32_precision == rest
    assert len(plain.rounds) == len(narrow.rounds) == 4


@pytest.mark.slow
def test_a_slow_textbook_is_called_a_straw_man(benchmark, tmp_path, monkeypatch, capsys):
    textbook = part("textbook").Textbook
    step = textbook.step

    def slow(self):
        step(self)
        until = time.process_time() + 0.8
        while time.process_time() < until:
            pass

    monkeypatch.setattr(textbook, "step", slow)
    monkeypatch.setattr(part("measure"), "built", partial(part("timing").built, warm_up=1))
    monkeypatch.setattr(benchmark, "warm_up", lambda options: None)
    code, result = run(benchmark, tmp_path, "--rows", "wgan_gp_mlp512", "--rounds", "1")
    assert code == 1
    assert "straw man" in capsys.readouterr().err
    assert result["rows"][0]["textbook"]["fraction_at_best"]["torch"] < 0.4
    result["rows"][0]["textbook"]["fraction_at_best"]["torch"] = 0.41
    assert part("verdicts").straw_man(result) is None


@pytest.mark.parametrize("what", ["n_critic", "width", "batch_size"])
def test_other_work_is_refused(what, tmp_path):
    rows, ours = part("rows"), part("ours")
    work = rows.Work("wgan_gp", "mlp", 16, n_critic=2)
    ways = ours.variant_keys("eager", "f32", "cpu", 1)
    mine = ours.Ours([*ours.keys(work, tmp_path), *ways])
    mine.step()

    def book(work):
        made = part("textbook").Textbook(work, mine.data())
        made.step()
        return made

    ours.check_same_work(work, 1, mine, book(work))
    other = replace(work, **{what: 2 * getattr(work, what)})
    with pytest.raises(ours.NotTheSameWork):
        ours.check_same_work(other, 1, mine, book(other))
    mine.run.step(mine.run.streams.draws(1))
    with pytest.raises(ours.NotTheSameWork, match=r"updates|steps"):
        ours.check_same_work(work, 1, mine, book(work))


def test_a_penalty_that_is_lazy_is_other_work(tmp_path):
    rows, ours = part("rows"), part("ours")
    work = rows.Work("wgan_gp", "conv", 4, (1, 28, 28), 8, 4, n_critic=1)
    keys = [*ours.keys(work, tmp_path), *ours.variant_keys("eager", "f32", "cpu", 1)]
    for every, refusal in ((1, None), (4, "from one penalty to the next")):
        mine = ours.Ours([*keys, *([f"regularizer.gradient_penalty.every={every}"] * (every > 1))])
        mine.step()
        book = part("textbook").Textbook(work, mine.data())
        book.step()
        if refusal is None:
            ours.check_same_work(work, 1, mine, book)
        else:
            with pytest.raises(ours.NotTheSameWork, match=refusal):
                ours.check_same_work(work, 1, mine, book)


@pytest.fixture
def options(tmp_path):
    cpu = torch.device("cpu")
    return part("measure").Options(cpu, 1, 2, 0.05, ["eager"], ["f32"], tmp_path)


def test_evaluation_costs_the_share_of_the_loop_that_goes_without_it(options, tmp_path):
    row = part("runs").whole_run("ring", "ring", options, runs=1, steps=100)
    (on,), (off,) = row["excess"]["on"], row["excess"]["off"]
    assert row["share"]["median"] == pytest.approx(on - off, rel=1e-9)
    assert min(row["seconds"]["on"] + row["seconds"]["off"]) > 0
    assert 0 < row["own_account"]["median"] < 1
    logged = {
        way: [r["step"] for r in read_metrics(RunDir(tmp_path / f"ring_{way}_0").metrics)]
        for way in ("on", "off")
    }
    assert logged["off"] == [0, 100]
    assert {0, 50, 100} <= set(logged["on"])
    assert part("verdicts").best(row, part("rows").TARGETS[11]) == (None, "")  # shortened


@pytest.mark.slow
@pytest.mark.multiprocess
def test_processes_add_up_their_seeds(options):
    row = part("processes").row("both", part("rows").PROCESS_ROWS["both_cores_mlp16"], options)
    (variant,) = row["variants"]
    rates = variant["seed_steps_per_second"]
    expected = [a / b for a, b in zip(rates["ours"], rates["textbook"], strict=True)]
    assert variant["ratio"]["rounds"] == pytest.approx(expected, rel=1e-9)
    assert len(expected) == 2
    assert min(rates["textbook"]) > 0


def test_targets_are_of_rows_that_exist_and_say_whether_they_are_reached():
    rows, verdicts = part("rows"), part("verdicts")
    for device in ("cpu", "cuda"):
        names = set(rows.chosen("", False, device))
        assert {t.row for t in rows.TARGETS if t.device == device} <= names
    variants = [
        {"mode": "eager", "precision": "f32", "ratio": {"median": 1.2}},
        {"mode": "compiled", "precision": "f32", "ratio": {"median": 1.4}},
        {"mode": "eager", "precision": "bf16", "ratio": {"median": 3.4}},
    ]
    result = {
        "device": "cpu",
        "hardware": {"amx": True},
        "rows": [
            {"name": "wgan_gp_mlp512", "variants": variants},
            {"name": "whole_run_ring", "share": {"median": 0.031}},
        ],
    }
    entries = {(v["row"], v["target"]): v for v in verdicts.verdicts(result)}
    assert entries["wgan_gp_mlp512", "f32 >= 1.3"]["reached"] is True
    assert entries["wgan_gp_mlp512", "f32 >= 1.3"]["way"] == "compiled f32"
    assert entries["wgan_gp_mlp512", "bf16 >= 3.5"]["reached"] is False
    assert entries["whole_run_ring", "<= 3 %"]["reached"] is False
    assert entries["wgan_clip_mlp512", "f32 >= 1.15"]["reached"] is None
    result["hardware"]["amx"] = False
    entries = {(v["row"], v["target"]): v for v in verdicts.verdicts(result)}
    assert entries["wgan_gp_mlp512", "bf16 >= 3.5"]["reached"] is None


def test_help_names_every_flag(benchmark, capsys):
    with pytest.raises(SystemExit) as end:
        benchmark.main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert "scripts/benchmark.py --quick" in text
    for flag in ("rows", "rounds", "quick", "precision", "modes", "seeds", "runs", "peer", "json"):
        assert f"  --{flag}" in text


@pytest.mark.parametrize(
    "arguments",
    [["--rows", "no_such_row"], ["--modes", "fast"], ["--precision", "f16"], ["--peer", "none.py"]],
)
def test_wrong_arguments_are_named(benchmark, arguments, capsys, tmp_path):
    assert benchmark.main(["--json", str(tmp_path / "x.json"), *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_the_committed_page_is_what_the_committed_results_say():
    folder, page = ROOT / "docs" / "benchmarks", ROOT / "docs" / "benchmarks.md"
    if not folder.is_dir():
        pytest.skip("nothing was measured yet")
    stale = "run scripts/benchmark.py --render"
    assert page.read_text() == part("page").render(folder), stale


def test_bf16_quality_pairs_runs_by_seed(tmp_path):
    quality = part("bf16_quality")
    runs = {"f32": {}, "bf16": {}}
    for (precision, by_seed), shift in zip(runs.items(), (0.0, 0.01), strict=True):
        for seed, w1 in enumerate((0.2, 0.3, 0.4)):
            final = {"value": w1 + shift * (1 + seed), "floor": 0.1}
            by_seed[seed] = RunDir(tmp_path / f"{precision}_{seed}").create()
            by_seed[seed].write_status(state="done", step=10, final={quality.W1: final})
    result = quality.compare("ring", runs)
    assert result["difference"]["value"] == pytest.approx(0.02, rel=1e-9)
    assert result["difference"]["n"] == 3
    assert result["difference"]["low"] == pytest.approx(0.02 - 0.01 * 4.302653 / 3**0.5, rel=1e-6)
    with pytest.raises(ValueError, match="changed no digit"):
        quality.compare("ring", {"f32": runs["f32"], "bf16": runs["f32"]})
    machine = {"hardware": {"cpu": "A"}, "versions": {"torch": "2"}}
    section = quality.section({"data_sets": [result], **machine})
    assert "| ring | 10 | 128 | 3 | 0.300 | 0.100 | 0.320 | 0.100 | +0.020 |" in section


def test_an_evaluation_costs_what_its_step_takes_beyond_its_neighbours():
    each = np.full(1000, 0.001)
    each[::50] += 0.015
    each *= np.linspace(1, 2, 1000)  # a machine that slows down evaluates nothing
    kind = part("runs")._Clock
    clock = kind.__new__(kind)
    clock.times = [0.0, *np.cumsum(each)]
    spikes = 15 * each[::50] / 16
    assert clock.excess == pytest.approx(spikes.sum() / each.sum(), abs=0.002)
