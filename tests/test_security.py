"""What a stranger's file, name or directory may make this program do: nothing."""

import ast
import base64
import contextlib
import csv
import html
import json
import os
import pickle
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_lab.cli import dashboard as dashboard_command
from gan_lab.cli import open_run
from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.experiments import runner
from gan_lab.reports.analysis import load, run_config
from gan_lab.reports.export import csv as csv_export
from gan_lab.reports.export import markdown, tensorboard
from gan_lab.reports.html import document, page
from gan_lab.reports.plots import landscape, samples
from gan_lab.reports.plots.animation import Animation, save_page
from gan_lab.runs import checkpoint, imports, run_dir
from gan_lab.runs.run_dir import RunDir
from tests.helpers import ONE, RING, ROOT, main, train
from tests.page_helpers import hostile, landscapes, report
from tests.reports import example_runs

# Name of a call -> files that may make it, with the reason.
ALLOWED = {
    "yaml.load": {
        "gan_lab/reports/analysis/run_config.py": "with the safe loader, also its C version"
    },
    "importlib.import_module": {
        "gan_lab/__init__.py": "a room or the face, from a table, when it is first used",
        "gan_lab/cli/main.py": "a command's own module, from a table",
        "tests/campaigns/__main__.py": "a campaign's own module, from a table",
        "gan_lab/runs/imports.py": "typed, from conf/, or passed by stored.trusted or may_import",
        "scripts/docs/pages.py": "a class that conf/ names",
    },
    "eval": {"tests/campaigns/inputs.py": "calls of the library face, from its own table"},
    "spec.loader.exec_module": {"scripts/benchmarking/measure.py": "a peer's script, by its path"},
}
FORBIDDEN = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "marshal.load"),
    *("dill.load", "joblib.load", "shelve.open", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp"),
    *("importlib.import_module", "spec.loader.exec_module", "os.execv", "os.spawnv"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "shutil.unpack_archive"),
    *("ssl._create_unverified_context", "hydra.utils.instantiate", "instantiate"),
    *("tar.extractall", "archive.extractall", "archive.extract"),
}
SOURCES = sorted(
    path
    for folder in ("gan_lab", "scripts", "tests/campaigns")
    for path in (ROOT / folder).rglob("*.py")
)
MARKUP = (
    '<script>window.hacked="name"</script>',
    '"><img src=x onerror=window.hacked=1>',
    "</script><script>window.hacked=2</script>",
    "</title></style></textarea><svg onload=window.hacked=3>",
    "' onmouseover='window.hacked=4",
    "<!--<script>",
    "]]>",
    "javascript:window.hacked=5",
    "[link](javascript:window.hacked=6)",
    "<a href='javascript:window.hacked=7'>x</a>",
    "&lt;b&gt; & \u2028 \u2029 $\\frac{$ @DATA@ @BODY@ {} %s",
    "```\n<script>window.hacked=8</script>\n```",
    '=HYPERLINK("http://127.0.0.1:9","x")',
)


def calls(path):
    """Every call in a file as (dotted name, node)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_file_runs_what_it_reads(path):
    name = path.relative_to(ROOT).as_posix()
    wrong = []
    for call, node in calls(path):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        where = f"{name}:{node.lineno}: {call}"
        if call in FORBIDDEN and name not in ALLOWED.get(call, {}):
            wrong.append(where)
        if call.endswith("torch.load") and given.get("weights_only") != "True":
            wrong.append(f"{where} without weights_only=True")
        if call in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            wrong.append(f"{where} without allow_pickle=False")
        if given.get("shell", "False") != "False" or given.get("verify", "True") != "True":
            wrong.append(f"{where} through a shell, or unverified")
        is_text = bool(node.args) and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
        if call.startswith("subprocess.") and is_text:
            wrong.append(f"{where} of one string")
        if call.endswith((".bind", ".listen", "HTTPServer", "TCPServer")):
            wrong.append(f"{where} serves")
    assert wrong == []


def test_every_exception_above_is_used():
    for call, files in ALLOWED.items():
        for name in files:
            assert call in [found for found, _ in calls(ROOT / name)], (call, name)


# A server


def listening(process):
    """The addresses that a process and its children listen on."""
    pids, sockets, found = {str(process.pid)}, set(), set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if entry.read_text().rpartition(")")[2].split()[1] in pids:
                pids.add(entry.parent.name)
    for fd in (fd for pid in pids for fd in Path(f"/proc/{pid}/fd").glob("*")):
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(fd))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].rpartition(":")[0])
    return found


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux shows who listens")
@pytest.mark.parametrize(
    ("keys", "address", "warned"), [([], "0100007F", False), (["host=0.0.0.0"], "00000000", True)]
)
def test_the_dashboard_listens_on_this_machine_alone_unless_asked(keys, address, warned, tmp_path):
    from gan_lab.loggers.tensorboard_writer import TensorBoardWriter

    writer = TensorBoardWriter(tmp_path / "run" / "tensorboard")
    writer.scalars(0, {"a": 1.0})
    writer.close()
    command = [sys.executable, "-m", "gan_lab", "dashboard", "run", "port=0", "open=false", *keys]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    env = {**ONE, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, **pipes, cwd=tmp_path, env=env)
    try:
        line = process.stdout.readline()
        # With another host TensorBoard's two halves still talk to each other on 127.0.0.1.
        assert listening(process) | {"0100007F"} == {address, "0100007F"}, line
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert ("warning: host=0.0.0.0 lets everybody" in errors) == warned
    assert process.returncode == 0


# A run directory from a stranger


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return train(home / "run", *RING, "trainer.steps=4", "trainer.landscape_every=2")


@pytest.fixture
def stranger(trained, workdir):
    """A copy of a run, to be made hostile, and a victim's file outside of it."""
    shutil.copytree(trained, "run")
    Path("victim").write_text("precious")
    return Path("run")


def refused(capsys, *arguments):
    """The one line with which a command refuses."""
    capsys.readouterr()
    assert main(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if not line.startswith("warning: ")]
    return line


COMMANDS = (("resume", "trainer.steps=6"), ("sample",), ("evaluate",), ("fork", "loss=hinge"))


@pytest.fixture
def evil(workdir, monkeypatch):
    """A module that leaves a trace where it is imported; there must be none."""
    Path("evil.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.syspath_prepend(str(workdir))
    yield
    assert not Path("ran").exists()
    assert "evil" not in sys.modules


def test_a_module_that_a_stored_run_names_is_not_imported(stranger, evil, capsys):
    text = RunDir(stranger).config.read_text()
    assert "gan_lab.losses.Wasserstein" in text
    for target in ("evil.Loss", "os.system", "gan_lab_evil.Loss", "..evil.Loss", "evil"):
        RunDir(stranger).config.write_text(text.replace("gan_lab.losses.Wasserstein", target))
        for command, *keys in COMMANDS:
            line = refused(capsys, command, stranger, *keys)
            assert f"loss._target_={target} is code outside of gan_lab" in line
            assert "GAN_LAB_PLUGINS=" in line
        assert main("compare", stranger, "output=out") == 0  # which draws, and imports no card


def test_one_may_say_that_a_package_is_ones_own(stranger, capsys, monkeypatch):
    Path("mine.py").write_text("from gan_lab.losses import Wasserstein as Mine\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    text = RunDir(stranger).config.read_text()
    RunDir(stranger).config.write_text(text.replace("gan_lab.losses.Wasserstein", "mine.Mine"))
    assert "GAN_LAB_PLUGINS=mine" in refused(capsys, "sample", stranger)
    monkeypatch.setenv("GAN_LAB_PLUGINS", "other, mine")
    # Imported now; and the checkpoint still tells that another configuration made it.
    assert "'gan_lab.losses.Wasserstein' / 'mine.Mine'" in refused(capsys, "sample", stranger)
    assert "mine" in sys.modules
    sys.modules.pop("mine")


def test_what_is_typed_may_be_ones_own(workdir, monkeypatch):
    Path("own.py").write_text("from gan_lab.losses import NonSaturating as Own\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    train("run", *RING, "trainer.steps=1", "loss._target_=own.Own")
    sys.modules.pop("own")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("${oc.env:SECRET}", "is no value"),
        ("x${oc.env:SECRET}y", "is no value"),
        ("!!python/object/apply:os.mkdir [ran]", "cannot be read"),
        ("!!python/name:os.system", "cannot be read"),
        ("&a [1]\nb: *a", "aliases"),
        ("'" + "x" * (1 << 20) + "'", "longer than"),
    ],
)
def test_a_strangers_config_asks_for_nothing(line, said, stranger, capsys, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    config = RunDir(stranger).config
    config.write_text(re.sub(r"(?m)^device: .*$", f"device: {line}", config.read_text()))
    for command, *keys in COMMANDS:
        answer = refused(capsys, command, stranger, *keys)
        assert said in answer
        assert "hunter2" not in answer
    assert not Path("ran").exists()


LAUGHS = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]" for i in range(12)]


BOMBS = {nest: (nest * 40_000, "nested deeper") for nest in ("[", "- ", "? ", "{a: ")}
BOMBS["a billion laughs"] = ("\n".join(LAUGHS), "aliases")


@pytest.mark.parametrize(("text", "said"), BOMBS.values(), ids=list(BOMBS))
def test_a_config_that_stands_for_too_much_is_refused_at_once(text, said, stranger, capsys):
    RunDir(stranger).config.write_text(text)
    began = time.process_time()
    for command in ("resume", "sample", "evaluate", "compare"):
        assert said in refused(capsys, command, stranger)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        *(("hydra.run.dir=victim_dir", "overrid"), ("+hydra.searchpath=[file:///tmp]", "overrid")),
        *(("hydra/launcher=joblib", "overrid"), (5, "overrid")),
        ("optim._target_=evil.Adam", "optim._target_=evil.Adam is code"),
    ],
)
def test_a_fork_takes_neither_hydra_s_keys_nor_code_from_a_run(
    override, said, stranger, evil, capsys
):
    overrides = RunDir(stranger).read_status()["overrides"]
    RunDir(stranger).write_status(overrides=[*overrides, override])
    assert said in refused(capsys, "fork", stranger, "loss=hinge")
    assert not Path("victim_dir").exists()


class Canary:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def objects():
    array = np.empty(1, object)
    array[0] = Canary()
    return array


def test_code_in_any_file_of_a_run_or_of_data_does_not_run(stranger, capsys):
    np.savez("frame.npz", x=objects(), logit=objects(), real=objects(), fake=objects())
    for frame in (stranger / "landscape").glob("*.npz"):
        shutil.copy("frame.npz", frame)
        assert landscape.load_or_none(frame) is None
    assert main("compare", stranger, "output=out") == 0
    np.save("points.npy", objects())
    np.savez("points.npz", objects())
    for file in ("points.npy", "points.npz"):
        line = refused(capsys, "train", "data=array", f"data.path={file}", "hydra.run.dir=x")
        assert "never loaded" in line
    for path in checkpoint.available(stranger / "checkpoints").values():
        torch.save({"format": 2, "sha256": "", "content": Canary()}, path)
    for command, *keys in COMMANDS:
        assert "holds code, which is never run" in refused(capsys, command, stranger, *keys)
    assert not Path("ran").exists()
    assert not Path("x").exists()


def test_a_pickled_data_set_is_read_only_when_its_digest_is_the_published_one(workdir, capsys):
    pytest.importorskip("torchvision")
    folder = Path("root/cifar-10-batches-py")
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(pickle.dumps(Canary()))
    line = refused(capsys, "train", "data=cifar10", "data.root=root", "hydra.run.dir=x")
    assert "cifar10" in line
    assert not Path("ran").exists()


def test_an_archive_in_place_of_a_checkpoint_writes_nothing_outside(stranger, capsys):
    for path in checkpoint.available(stranger / "checkpoints").values():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../../victim", "overwritten")
            archive.writestr("/tmp/gan_lab_victim", "overwritten")
    refused(capsys, "sample", stranger)
    assert Path("victim").read_text() == "precious"
    assert not Path("/tmp/gan_lab_victim").exists()


def files_at(step):
    """Files of a run at a step, by name."""
    written = ("samples/{}.png", "landscape/{}.npz", "checkpoints/{}.pt")
    written = [name.format(f"step_{step:08d}") for name in written]
    return ["config.yaml", "status.json", "metrics.jsonl", "events.jsonl", *written]


@pytest.mark.parametrize("name", [*files_at(6), ".lock", "samples/sample_step_00000006_seed_0.npy"])
def test_no_command_writes_through_a_link_in_a_run(name, stranger):
    link = stranger / name
    content = link.read_bytes() if link.suffix in (".yaml", ".json", ".jsonl") else b"precious"
    Path("victim").write_bytes(content)
    link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(Path("victim").absolute())
    main("resume", stranger, "trainer.steps=6")
    main("evaluate", stranger)
    code = main("sample", stranger, "n=2")
    assert code == 0 or not name.endswith(".npy")
    assert Path("victim").read_bytes() == content


def test_what_is_removed_is_never_what_a_link_points_at(stranger):
    (stranger / "checkpoints/step_00000000.pt").symlink_to(Path("victim").absolute())
    assert main("resume", stranger, "trainer.steps=9") == 0
    checkpoint.rotate(stranger / "checkpoints", 1)
    assert Path("victim").read_text() == "precious"


@pytest.mark.parametrize(
    "name",
    [
        *("checkpoints", "samples", "landscape", "tensorboard", "evaluation", "figures", "seed_7"),
        "evaluation/tensorboard/step_00000004",
    ],
)
def test_no_folder_of_a_run_is_a_link_to_elsewhere(name, stranger, capsys):
    outside, link = Path("outside").absolute(), stranger / name
    shutil.copytree(link, outside) if link.exists() else outside.mkdir()
    shutil.rmtree(link, ignore_errors=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    before = {path: path.read_bytes() for path in outside.rglob("*")}
    for command, *keys in COMMANDS:
        assert f"{link} leads out of its run" in refused(capsys, command, stranger, *keys)
    assert main("compare", stranger, "output=out") in (0, 2)  # it may be the folder of a sweep
    assert {path: path.read_bytes() for path in outside.rglob("*")} == before


def test_a_run_may_be_behind_a_link_and_hold_links_to_itself(stranger):
    (stranger / "checkpoints").rename(stranger / "kept")
    (stranger / "checkpoints").symlink_to("kept")
    Path("there").symlink_to(stranger.absolute())
    assert main("sample", "there", "n=2") == 0
    assert (stranger / "samples/sample_step_00000004_seed_0.npy").exists()


@pytest.fixture
def in_time():
    """Ends a test that waits for ever."""

    def late(signum, frame):
        pytest.fail("it waits")  # unlike a TimeoutError, which is an OSError, nobody catches it

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", files_at(4))
def test_nothing_waits_for_a_pipe_in_a_run(name, stranger, in_time):
    pipe = stranger / name
    pipe.unlink(missing_ok=True)
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    codes = {command: main(command, stranger, *keys) for command, *keys in COMMANDS}
    codes["compare"] = main("compare", stranger, "output=out")
    told = {"config.yaml": set(codes), "status.json": {"resume", "fork", "compare"}}
    told |= {"events.jsonl": {"resume", "compare"}, "metrics.jsonl": {"resume", "compare"}}
    told |= {files_at(4)[-1]: {command for command, *_ in COMMANDS}}
    assert codes == {command: 2 if command in told.get(name, ()) else 0 for command in codes}


def test_the_dashboard_waits_for_no_pipe(tmp_path, in_time):
    os.mkfifo(tmp_path / "events.out.tfevents.1.series")
    with pytest.raises(ConfigError, match="is no file"):
        dashboard_command._log_directory(tmp_path)


# A study from a stranger


@pytest.fixture
def study(workdir):
    """A study's directory without arrays, and a function that writes its result.json."""
    plain = compose.resolve(compose.compose_config("experiment", ["experiment=dirac_gan"]))

    def write(config):
        Path("study").mkdir(exist_ok=True)
        record = {"experiment": "dirac_gan", "claims": [], "config": config}
        Path("study/result.json").write_text(json.dumps(record))

    write(plain)
    return plain, write


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: {**c, "device": "${oc.env:SECRET}"}, "is no value"),
        (lambda c: {**c, "a": [{"${oc.env:SECRET}": 1}]}, "is no value"),
        (lambda c: {**c, "_target_": "evil.Study"}, "is code outside of gan_lab"),
        (lambda c: {**c, "a": {"_target_": "evil.Study"}}, "is code outside of gan_lab"),
        (lambda c: "device: ${oc.env:SECRET}", "holds no config"),
        (lambda c: [c], "holds no config"),
        (lambda c: None, "holds no config"),
        (lambda c: {**c, "a": json.loads("[" * 300 + "]" * 300)}, "nested deeper"),
        (lambda c: {**c, "_target_": "gan_lab.experiments.base.Lab"}, "is no Experiment"),
    ],
)
def test_a_strangers_study_asks_for_nothing(change, said, study, evil, capsys, monkeypatch):
    plain, write = study
    monkeypatch.setenv("SECRET", "hunter2")
    write(change(plain))
    answer = refused(capsys, "experiment", "study")
    assert said in answer
    assert "hunter2" not in answer


def test_a_study_that_cannot_be_read_or_drawn_is_refused(study, capsys, monkeypatch):
    np.savez_compressed("study/arrays.npz", x=np.zeros(1 << 20))
    assert "cannot be drawn" in refused(capsys, "experiment", "study")
    np.savez("study/arrays.npz", x=np.zeros(2, [("a", "f4")]))
    assert "holds no numbers as 'x'" in refused(capsys, "experiment", "study")
    np.savez_compressed("study/arrays.npz", x=np.zeros(1 << 20))
    monkeypatch.setattr(runner, "free_bytes", lambda device: 1 << 20)
    assert "unpacked it needs" in refused(capsys, "experiment", "study")
    Path("elsewhere").mkdir()
    Path("study/figures").symlink_to(Path("elsewhere").absolute())
    assert "leads out of its run" in refused(capsys, "experiment", "study")
    Path("study/figures").unlink()
    Path("study/result.json").write_text("[" * 10**5)
    assert "is not JSON" in refused(capsys, "experiment", "study")


# Where modules are looked for


def shell(*arguments, cwd, **environment):
    """What a process of Python prints."""
    checks = {"capture_output": True, "text": True, "timeout": 60, "check": True}
    command, env = [sys.executable, *arguments], {**ONE, **environment}
    return subprocess.run(command, cwd=cwd, env=env, **checks).stdout


@pytest.mark.parametrize("path", [str(ROOT), f"{ROOT}{os.pathsep}"])
def test_no_module_of_the_working_directory_is_run(path, tmp_path):
    (tmp_path / "difflib.py").write_text("open('ran', 'w').close()\n")
    assert shell("-m", "gan_lab", "--version", cwd=tmp_path, PYTHONPATH=path)
    assert not (tmp_path / "ran").exists()


def test_a_checkout_is_run_from_within(tmp_path):
    assert shell("-S", "-m", "gan_lab", "--version", cwd=ROOT, PYTHONPATH="")


def test_a_class_of_ones_own_is_found_in_the_working_directory_after_all_else(workdir, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(ROOT))])
    before = list(sys.path)
    Path("own_of_mine.py").write_text("class Own: pass\n")
    Path("json.py").write_text("open('ran', 'w').close()\n")
    assert imports.import_object("gan_lab.errors.ConfigError") is ConfigError
    assert sys.path == before
    assert imports.import_object("own_of_mine.Own").__name__ == "Own"
    assert imports.import_object("own_of_mine.Own").__module__ == "own_of_mine"
    assert sys.path == [*before, str(workdir)]
    assert not Path("ran").exists()
    sys.modules.pop("own_of_mine")


# What is read


def test_only_seeds_are_children_of_a_run(tmp_path):
    for name in ("seed_1", "seed_-2", "seed_../..", "seed_1x", "seed_", "seed_1/deeper", "seed_9 "):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "seed_5").symlink_to("/nowhere")
    assert [child.path.name for child in RunDir(tmp_path).children()] == ["seed_-2", "seed_1"]


def test_a_picture_that_is_no_picture_is_not_shown(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\x89PNG\r\n\x1a\n but the key is hunter2")
    (tmp_path / "step_0.png").symlink_to(secret)
    assert samples.read_png(tmp_path / "step_0.png") is None
    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    assert samples.read_png(tmp_path / "good.png") == (tmp_path / "good.png").read_bytes()
    made = report(tmp_path)
    pictures = made.sections[2].pictures["minimax"]
    shutil.copy(secret, pictures[20])
    assert base64.b64encode(b"hunter2").decode()[:8] not in page.render(made)
    tensorboard.write(made, tmp_path / "board")
    for file in (tmp_path / "board").rglob("*tfevents*"):
        assert b"hunter2" not in file.read_bytes()


def test_a_picture_that_unpacks_to_more_than_the_memory_is_left_out(tmp_path):
    for side, shown in ((1000, True), (8000, False)):
        Image.new("1", (side, side)).save(tmp_path / "a.png")
        assert (samples.read_png(tmp_path / "a.png") is not None) == shown
    with open(tmp_path / "a.png", "r+b") as file:
        file.truncate(1 << 40)  # of no length on the disk
    assert samples.read_png(tmp_path / "a.png") is None


def test_pictures_and_frames_of_others_are_not_shown(stranger):
    Image.new("RGB", (4, 4)).save("private.png")
    (stranger / "samples").mkdir(exist_ok=True)
    Image.new("RGB", (4, 4)).save(stranger / "samples/step_00000001.png")
    (stranger / "samples/step_00000002.png").symlink_to(Path("private.png").absolute())
    (stranger / "samples/step_00000003.png").symlink_to("step_00000001.png")
    shutil.move(stranger / "landscape", "landscape")
    (stranger / "landscape").symlink_to(Path("landscape").absolute())
    run = load.read_run(stranger)
    assert run.pictures().keys() & {1, 2, 3} == {1, 3}
    assert run.landscapes() == {}


def test_a_comparison_says_no_more_than_was_typed_of_where_its_runs_are(workdir):
    for seed in (0, 1):
        example_runs.run(Path(f"runs/a{seed}"), seed)
    assert main("compare", "runs", "output=out") == 0
    for file in (*Path("out/csv").glob("*.csv"), Path("out/report.md")):
        assert str(workdir) not in file.read_text()
    assert "runs/a1" in Path("out/csv/runs.csv").read_text()


def test_a_frame_that_unpacks_to_more_than_the_memory_is_left_out(tmp_path):
    path = landscapes(tmp_path, 2)[0]
    good = landscape.load(path)
    assert landscape.load_or_none(path) is not None
    np.savez_compressed(path, **good, more=np.zeros(1 << 23))
    assert path.stat().st_size < 1 << 20
    assert landscape.load_or_none(path) is None
    np.savez_compressed(path, **good, more=np.zeros(1 << 18, np.float64))  # 2 MB
    assert landscape.load_or_none(path) is None
    for bad in ({"x": good["x"][:0]}, {"fake": good["fake"][:, :1]}, {"arrow": good["x"]}):
        np.savez_compressed(path, **{**good, **bad})
        assert landscape.load_or_none(path) is None


# What is shown


class Tags(HTMLParser):
    """All tags of a page with their attributes, outside of its scripts."""

    def __init__(self, source):
        super().__init__()
        self.found = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        if tag != "span":  # quiet parts of a cell, by what it looks like
            self.found.append((tag, sorted(name for name, _ in attrs if name != "class")))


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    """A report with nothing to fear in it."""
    return report(tmp_path_factory.mktemp("harmless"), labels=("minimax", "harmless"))


def body_and_data(made):
    """A page without what is the same on all of them, which is 5 MB."""
    data, limits = page._data(made)
    return page._body(made, data, limits), document.script_json(data)


def without_scripts(source):
    return re.sub(r"(<script\b[^>]*>).*?(</script>)", r"\1\2", source, flags=re.DOTALL)


def tags_of(source):
    return Tags(without_scripts(source)).found


def assert_nothing_breaks_out(made, name):
    body, data = body_and_data(hostile(made, name))
    # Alike but for what could be markup: a colon tells a term from its explanation.
    plain, _ = body_and_data(hostile(made, re.sub(r"[^\w\s:]", ".", name)))
    assert Tags(body).found == Tags(plain).found
    assert not set("<>&") & set(data)
    for section in json.loads(data)["sections"]:
        assert list(section["looks"]) == ["minimax", name]
        assert all(chart["title"] == name for chart in section["charts"])


@pytest.mark.parametrize("name", MARKUP)
def test_markup_in_any_text_stays_text_on_the_page(name, harmless):
    assert_nothing_breaks_out(harmless, name)


def test_the_page_around_it_escapes_its_title(harmless):
    source = page.render(hostile(harmless, MARKUP[3]))
    assert tags_of(source) == tags_of(page.render(hostile(harmless, "harmless")))
    assert f"<title>{html.escape(MARKUP[3])}</title>" in source


PARTS = [*"<>\"'&;=/`@$\\ \n\u2028", "script", "onload", "javascript:", "x", "-->"]


@settings(max_examples=30, deadline=None)
@given(
    name=st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join).filter(str.strip)
)
def test_no_text_breaks_out_of_the_page(name, harmless):
    assert_nothing_breaks_out(harmless, name)


@pytest.mark.parametrize("name", MARKUP)
def test_markup_in_an_animation_stays_text(name, tmp_path):
    def page_of(title):
        picture = np.zeros((4, 4, 3), np.uint8)
        save_page(Animation(title, [picture], [title], text=title), tmp_path / "page.html")
        return (tmp_path / "page.html").read_text()

    source = page_of(name)
    assert tags_of(source) == tags_of(page_of("harmless"))
    assert html.escape(name) in source
    assert source.count("</script>") == 1


def test_markup_in_a_run_stays_text_in_everything_that_compare_writes(workdir, capsys):
    evil = "".join(MARKUP)
    hints = {evil: evil, "note": f"\x1b]0;{evil}\x07"}
    keys = {"hints": hints, "loss": {"_target_": f"gan_lab.losses.{evil}"}}
    for seed, state in enumerate(("done", "diverged")):
        example_runs.run(Path(f"runs/a{seed}"), seed, state=state, **keys)
    status = json.loads(Path("runs/a1/status.json").read_text())
    status["error"] = f"\x1b[2J{evil}\ud800"
    Path("runs/a1/status.json").write_text(json.dumps(status))
    event = {"step": 1, "seed": 0, "kind": evil, "numbers": {evil: 1.0}, "explanation": evil}
    Path("runs/a0/events.jsonl").write_text(json.dumps(event) + "\n")
    assert main("compare", "runs", f"title=\x1b[31m{evil}", "output=out") == 0
    assert not set("\x1b\x07") & set("".join(capsys.readouterr()))
    for file in Path("out").rglob("*"):
        if file.suffix in (".md", ".csv", ".html"):
            assert "\x1b" not in without_scripts(file.read_text(encoding="utf-8"))
    tags = tags_of(Path("out/index.html").read_text(encoding="utf-8"))
    assert not [tag for tag in tags if "onerror" in tag[1] or "onload" in tag[1]]
    assert "<script>window" not in Path("out/report.md").read_text(encoding="utf-8")


def test_a_name_is_printed_as_it_is(trained, workdir, capsys):
    name = "[red]x[:b:[green]"
    shutil.copytree(trained, name)
    commands = (("sample", "n=2"), ("evaluate",), ("compare", f"output={name}_out"))
    for command, *keys in (*commands, ("resume", "trainer.steps=6")):
        assert main(command, name, *keys) == 0
        assert name in capsys.readouterr().out, command
    shutil.move(name, "a\x1b[2Jb")
    for command, *keys in (*commands, ("resume", "trainer.steps=7")):
        assert main(command, "a\x1b[2Jb", *keys) == 0
        assert "\x1b" not in "".join(capsys.readouterr()), command


def test_what_a_run_says_drives_no_terminal(stranger, capsys):
    status = RunDir(stranger).read_status()
    RunDir(stranger).write_status(overrides=[*status["overrides"], "regularizer.\x1b[2J=1"])
    assert main("fork", stranger, "loss=hinge", "hydra.run.dir=x") == 0
    open_run._warn("seed 1: \x1b[2J")
    printed = capsys.readouterr()
    assert "without" in printed.out
    assert "\x1b" not in printed.out + printed.err


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t"])
def test_no_cell_of_a_csv_is_a_formula(sign):
    assert csv_export._cell(f"{sign}cmd|' /C calc'!A0").startswith(f"'{sign}")
    assert csv_export._cell(-1.5) == -1.5
    assert csv_export._cell("minimax") == "minimax"


def test_no_run_writes_a_cell_that_is_a_formula(workdir):
    for seed in (0, 1):
        example_runs.run(Path(f"runs/a{seed}"), seed, loss={"_target_": "gan_lab.losses.=1+1"})
    assert main("compare", "runs", "output=out") == 0
    for file in Path("out/csv").glob("*.csv"):
        for row in csv.reader(file.read_text().splitlines()):
            cells = [c for c in row if c.startswith(("=", "+", "-", "@"))]
            assert [c for c in cells if not re.fullmatch(r"-\d[\d.e+-]*|-inf", c)] == []


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_what_is_visible_has_nothing_that_drives_a_terminal(text):
    seen = run_config.visible({text: [text]})
    ((key, (value,)),) = seen.items()
    assert key == value
    assert all(c.isprintable() or c in "\n\t" for c in value)
    assert len(value) == len(text)
    value.encode()


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_no_text_becomes_a_tag_or_a_link_in_tensorboard(text):
    from tensorboard.plugin_util import markdowns_to_safe_html

    shown = markdowns_to_safe_html([tensorboard._plain(f"{text}<b>[x](http://x)")], lambda x: x[0])
    assert "<a " not in shown
    assert "<b>" not in shown
    assert "<script" not in shown


def test_markdown_has_neither_tags_nor_links():
    for name in MARKUP:
        shown = markdown._text(name)
        assert not re.search(r"(?<!\\)[<\[]", shown)


# Processes, temporary files, permissions


def test_git_runs_nothing_of_a_repository_that_is_not_ours(tmp_path):
    hostile, hook = tmp_path / "repository", tmp_path / "hook.sh"
    hostile.mkdir()
    (hostile / "file").write_text("x")
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    for words in (("init", "-q"), ("config", "core.fsmonitor", str(hook)), ("status",)):
        subprocess.run(["git", "-C", str(hostile), *words], check=True, capture_output=True)
    assert (tmp_path / "ran").exists()  # the trap works
    (tmp_path / "ran").unlink()
    # In the stranger's directory, and installed inside of it.
    site = hostile / "lib" / "site-packages"
    site.mkdir(parents=True)
    (site / "gan_lab").symlink_to(ROOT / "gan_lab")
    shutil.copytree(ROOT / "gan_lab", site / "copied" / "gan_lab", symlinks=True)
    program = "from gan_lab.runs.run_dir import _git; print(_git())"
    for path in (ROOT, site, site / "copied"):
        answer = shell("-c", program, cwd=hostile, PYTHONPATH=str(path))
    assert answer == "None\n"
    assert not (tmp_path / "ran").exists()


def test_temporary_files_lie_beside_their_file_and_are_gone_after(tmp_path, monkeypatch):
    seen, replace = [], os.replace

    def watched(source, target):
        seen.append((Path(source), Path(target)))
        replace(source, target)

    monkeypatch.setattr(run_dir.os, "replace", watched)
    run_dir.atomic_write(tmp_path / "a", b"x")
    ((source, target),) = seen
    assert source.parent == target.parent == tmp_path
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o027])
def test_files_have_the_permissions_that_the_umask_leaves(umask, workdir):
    before = os.umask(umask)
    try:
        train("run", *RING, "trainer.steps=2", "trainer.image_every=1")
        assert main("sample", "run", "n=2") == 0
    finally:
        os.umask(before)
    for path in Path("run").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o777 if path.is_dir() else 0o666) & ~umask, (path, oct(mode))


def test_what_a_run_says_of_its_configuration_is_read_back_as_it_is(trained):
    flat = run_config.of_run(trained)
    assert flat == run_config.flat_keys(open_run.saved_config(trained))
    assert yaml.safe_load(RunDir(trained).config.read_text())["device"] == "cpu"
    with pytest.raises(ConfigError, match="holds no run"):
        open_run.saved_config(trained / "samples")
