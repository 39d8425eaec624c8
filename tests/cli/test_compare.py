"""compare from the command line: what it leaves, and what it does with odd and broken runs."""

import json
import zlib

import numpy as np
import pytest

from gan_lab.reports.analysis import build
from tests.helpers import main
from tests.reports.example_runs import CONFIG, TAG, WGAN, run, two_groups


@pytest.fixture
def runs(workdir):
    two_groups(workdir / "runs", 3)
    return workdir / "runs"


def refused(capsys, *arguments):
    assert main("compare", *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("ConfigError: ")
    assert err.count("\n") == 1
    return err


def test_compare_leaves_a_page_a_picture_numbers_and_tensorboard(runs, workdir, capsys):
    assert main("compare", runs, "output=out", "title=Four: losses [/bold] ${x}") == 0
    out = workdir / "out"
    assert {path.name for path in out.iterdir()} == {
        *("index.html", "report.md", "overview.png", "csv", "tensorboard")
    }
    page = (out / "index.html").read_text()
    assert "Four: losses [/bold] ${x}" in page
    said = " ".join(capsys.readouterr().out.split())
    assert "is lower by 0.43 [0.36, 0.51] data units than for minimax, in " in said
    assert len((out / "index.html").read_bytes()) < 15e6


def test_comparing_twice_below_one_directory_takes_no_comparison_for_a_run(runs, workdir):
    for _ in range(2):
        assert main("compare", runs, "output=runs/out") == 0
    rows = (workdir / "runs/out/csv/runs.csv").read_text().splitlines()
    assert len(rows) == 1 + 6


def test_a_pattern_in_quotes_means_what_holds_runs(runs, workdir):
    (workdir / "runs" / "empty").mkdir()
    assert main("compare", "runs/*", "output=out") == 0
    assert "runs/empty" not in (workdir / "out" / "report.md").read_text()


def test_a_word_that_is_too_long_names_no_directory(workdir, capsys):
    assert "is no directory" in refused(capsys, "x" * 5000)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", b""),
        ("config.yaml", b"\xff\xfe"),
        ("config.yaml", b"data: {_target_: x}\n"),  # cut off before trainer.steps
        ("config.yaml", b"trainer: {steps: abc}\n"),
        ("config.yaml", b"a: 2020-13-45\n"),
        ("config.yaml", None),
        ("status.json", b"[1]"),
        ("status.json", b'{"state": "done", "step": "abc"}'),
        ("status.json", b'{"state": "done", "seeds": 5}'),
        ("status.json", b'{"state": "done", "final": [1]}'),
        ("status.json", b'{"state": "done", "final": {"a": {"value": null}}}'),
        ("events.jsonl", b'{"step": 5}\n{"step": 6, "kind": "x"}\n'),
        ("events.jsonl", b'{"step": null, "kind": "x"}\n{"step": 6, "kind": "x"}\n'),
    ],
)
def test_a_damaged_run_is_named_and_never_left_out_in_silence(file, content, runs, capsys):
    path = runs / "wgan_seed_1" / file
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    assert "wgan_seed_1" in refused(capsys, runs, "output=out")


LINES = [
    *(b"\xff\xfe garbage", b'{"step": "abc"}', b'{"step": null}', b'{"step": -4}'),
    *(b'{"step": 1e400}', b'{"step": 50, "divergence/wasserstein": [1]}', b"[" * 100_000),
    *(b'{"step": 50, "divergence/wasserstein": null}', b"[1, 2]"),
]


@pytest.mark.parametrize("line", LINES)
def test_a_damaged_line_of_metrics_costs_that_line(line, runs):
    before = build.report([runs])[0].sections[0].charts[0].bands
    path = runs / "wgan_seed_1" / "metrics.jsonl"
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[3:]]))
    after = build.report([runs])[0].sections[0].charts[0].bands
    for label, band in before["step"].items():
        np.testing.assert_array_equal(after["step"][label].mean, band.mean)


@pytest.mark.parametrize("content", [b"", b"not a file of this kind", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_picture_or_frame_costs_itself(content, runs, workdir):
    for folder, name in (("samples", "step_00000010.png"), ("landscape", "step_00000010.npz")):
        path = runs / "wgan_seed_0" / folder
        path.mkdir()
        (path / name).write_bytes(content)
    film = runs / "minimax_seed_0" / "landscape"
    film.mkdir()
    np.savez_compressed(film / "step_00000020.npz", x=np.zeros(3, np.float32))  # half of a frame
    whole = (film / "step_00000020.npz").read_bytes()
    (film / "step_00000030.npz").write_bytes(whole[:60] + b"\x00\xff" + whole[62:])
    assert main("compare", runs, "output=out") == 0
    assert (workdir / "out" / "overview.png").exists()
    assert zlib.crc32((workdir / "out" / "index.html").read_bytes())


def test_an_infinite_curve_is_no_reason_to_stop(runs, workdir):
    run(workdir / "runs" / "inf", 9, [np.inf] * 11)
    assert main("compare", runs, "output=out") == 0
    text = (workdir / "out" / "report.md").read_text()
    assert "3 of 4" in text


def add_to_status(path, **values):
    status = json.loads((path / "status.json").read_text()) | values
    (path / "status.json").write_text(json.dumps(status))


def section_of(directory):
    return build.report([directory])[0].sections[0]


def test_a_killed_run_is_as_far_as_its_metrics(workdir):
    path = run(workdir / "runs" / "a", 0, [1.0, 0.9, 0.8], [0, 10, 20], state="running")
    add_to_status(path, step=0)
    assert main("compare", "runs", "output=out") == 0
    assert "unfinished at step 20" in (workdir / "out" / "report.md").read_text()


def test_a_fork_is_never_averaged_with_a_run_that_had_no_past(workdir):
    for seed in range(2):
        run(workdir / "runs" / f"plain_{seed}", seed)
        path = run(workdir / "runs" / f"fork_{seed}", seed)
        parent = str(run(workdir / "elsewhere" / f"parent_{seed}", seed, **WGAN))
        add_to_status(path, forked_from={"path": parent, "step": 40})
    report, _ = build.report([workdir / "runs"])
    forked = "minimax, from WGAN-GP at step 40"
    assert sorted(report.sections[0].labels) == ["minimax", forked]
    assert any("a fork" in note for note in report.notes)


def test_seconds_of_runs_that_were_not_timed_alike_are_compared_nowhere(workdir):
    for seed in range(2):
        run(workdir / "runs" / f"a{seed}", seed)
        add_to_status(run(workdir / "runs" / f"b{seed}", seed, **WGAN), threads=2)
    report, _ = build.report([workdir / "runs"])
    (table,) = (t for t in report.sections[0].tables if t.title == "At equal budgets")
    assert not any("seconds" in row[0] for row in table.rows)
    sentences = [s for part in report.sections[0].parts for s in part.sentences]
    assert not any("seconds" in sentence for sentence in sentences)
    assert any("not timed alike" in note for note in report.notes)


def test_a_lead_that_common_seeds_contradict_is_not_called_supported(workdir):
    """The lowest mean is over each group's own survivors, the difference over common seeds."""
    low, high = [1.0, 1.1, 1.0], [0.9, 0.99, 0.9, 5.0, 5.2]
    for seed, value in enumerate(high):
        run(workdir / "runs" / f"b{seed}", seed, final=value, **WGAN)
        if seed < 3:
            run(workdir / "runs" / f"a{seed}", seed, final=low[seed])
        else:
            run(workdir / "runs" / f"a{seed}", seed, [1.0], [0], state="diverged")
    section = section_of(workdir / "runs")
    assert "minimax has the lowest" in section.sentences[0]
    assert "But on the seeds that both finished minimax is higher: 0.10 [" in section.sentences[1]
    assert section.verdict.kind == "undecided"
    assert "higher by 0.103 data units on the 3 seeds" in section.verdict.headline


def test_a_whole_number_and_the_same_number_typed_with_a_point_are_one_choice(workdir):
    for seed, weight in ((0, 10), (1, 10.0)):
        penalty = WGAN["regularizer"]["gradient_penalty"] | {"weight": weight}
        choice = WGAN | {"regularizer": {"gradient_penalty": penalty}}
        run(workdir / "runs" / f"a{seed}", seed, **choice)
    assert len(build.report([workdir / "runs"])[0].sections[0].labels) == 1


def test_the_best_checkpoint_is_held_against_the_end_on_held_out_data(workdir):
    rng = np.random.default_rng(0)
    for seed in range(5):
        path = run(workdir / "runs" / f"a{seed}", seed, final=1.5 + 0.01 * float(rng.normal()))
        status = json.loads((path / "status.json").read_text())
        estimate = status["final"][TAG] | {"value": 1.0 + 0.01 * float(rng.normal())}
        best = {"step": 50, "tag": TAG, "validation": estimate, "held_out": estimate}
        add_to_status(path, best=best)
    curves = section_of(workdir / "runs").parts[0]
    assert any("Training on made it worse" in s and "by 0.5" in s for s in curves.sentences)


def test_other_lengths_of_training_are_said_in_the_first_sentence(workdir):
    longer = {**CONFIG["trainer"], "steps": 200}
    for seed in range(3):
        run(workdir / "runs" / f"a{seed}", seed)
        run(workdir / "runs" / f"b{seed}", seed, trainer=longer)
    section = section_of(workdir / "runs")
    assert "not trained for equally many steps" in section.sentences[0]
    assert any("not trained for equally many steps" in d for d in section.verdict.details)
