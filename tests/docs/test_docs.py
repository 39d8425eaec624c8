"""README, CONTRIBUTING and docs: links lead somewhere, generated parts are current, code runs.

By default: links, anchors, generated parts, syntax of each block. With -m slow each page's blocks
are run in order, in a scratch copy of the repository; `pytest -m slow -rs tests/docs` lists the
blocks that are not run and why.
"""

import ast
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from scripts.docs import pages as generator
from tests.docs.markdown import PAGES, ROOT, Block, anchors, blocks, links, prose

BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = {"bash", "python", "yaml", "json"}
SHOWN = {"text"}
# Each block that is not run, by page: one that is added has to be added here, with its reason.
NOT_RUN = {
    "README.md": ["ten minutes"],
    "CONTRIBUTING.md": ["the suites"],
    "docs/benchmarks.md": [],
    "docs/compare-losses.md": ["until Ctrl-C"],
    "docs/getting-started.md": ["installs PyTorch", "until Ctrl-C"],
    "docs/guide/assignment.md": ["until Ctrl-C", "the weights"],
    "docs/guide/data.md": ["downloads", "a folder of images"],
    "docs/guide/distributed-and-clusters.md": ["two processes", "Slurm"],
    "docs/guide/docker.md": ["Docker", "Docker"],
    "docs/guide/generators.md": ["installs packages", "the file above"],
    "docs/guide/resume-fork-sweep.md": ["installs Optuna's sweeper"],
    "docs/internals/performance.md": ["idle machine"],
}
GENERATED_ELSEWHERE = {"docs/benchmarks.md", "docs/reliability.md"}
WRITTEN = [page for page in PAGES if str(page.relative_to(ROOT)) not in GENERATED_ELSEWHERE]


def page_id(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_and_anchor_leads_somewhere(page):
    broken = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


def test_every_page_is_linked_from_another():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in links(page)
        if not re.match(r"[a-z]+:|#", target)
    }
    assert [page_id(page) for page in PAGES if page not in linked | {ROOT / "README.md"}] == []


def test_generated_parts_are_current():
    stale = [page_id(page) for page in generator.stale()]
    assert stale == [], "run .venv/bin/python -m scripts.docs"


def test_the_readme_sells_and_starts():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 250
    assert text.count("![") == 1


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_nobody_is_told_to_install_a_strangers_project(page):
    assert re.findall(r"pip3? install[^\n]*\bgan[-_]lab", page.read_text()) == []


@pytest.mark.parametrize("page", WRITTEN, ids=page_id)
def test_keys_that_a_page_names_exist(page):
    if page.name == "CHANGELOG.md":  # it names those of before
        return
    groups = ("trainer", "evaluator", "neural_distance", "execution", "network", "optim")
    for group, key in re.findall(rf"\b({'|'.join(groups)})\.(\w+)(?==|`)", page.read_text()):
        files = (ROOT / "conf" / group).glob("*.yaml")
        known = {name for file in files for name in yaml.safe_load(file.read_text())}
        assert key in known, f"{group}.{key}"


def written(page):
    """Return a page without what is generated: its words are those of conf/ and --help."""
    return re.sub(r"<!-- generated.*?<!-- end generated -->", "", page.read_text(), flags=re.S)


def test_words_of_before_are_gone():
    old = r"\b(estimator\.\w+=|measure=|probe[./=]|film_every|slope_(mean|max)|the ruler)"
    found = {
        page_id(page): re.findall(old, written(page))
        for page in WRITTEN
        if page.name != "CHANGELOG.md"
    }
    assert {name: words for name, words in found.items() if words} == {}


def test_pages_are_ascii_and_no_sentence_stands_twice():
    seen: dict[str, str] = {}
    for page in WRITTEN:
        assert page.read_text().isascii(), page
        text = prose(written(page))
        text = "\n".join(line for line in text.splitlines() if not line.startswith(("|", "#")))
        for sentence in re.split(r"(?<=[.:?])\s+", re.sub(r"\s+", " ", text)):
            if len(sentence.split()) >= 9:
                assert sentence not in seen, f"{page_id(page)} repeats {seen[sentence]}: {sentence}"
                seen[sentence] = page_id(page)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_block_has_a_language_and_its_syntax(block):
    assert block.language in RUN | SHOWN
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "bash":
        checked = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "block",
    # Those that train run with -m slow, like the commands.
    [
        b
        for b in BLOCKS
        if b.language == "python" and b.not_run is None and "gan_lab.train(" not in b.text
    ],
    ids=lambda block: block.name,
)
def test_python_blocks_run(block, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where some of them write
    # A dataclass looks its module up; a name that has moved fails here, not only with -m slow.
    module = types.ModuleType("example_of_the_pages")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block.text, block.name, "exec"), vars(module))


def test_no_block_is_left_out_in_silence():
    left_out: dict[str, list[str]] = {}
    for block in BLOCKS:
        if block.not_run is not None:
            left_out.setdefault(block.page, []).append(block.not_run)
    expected = {page: reasons for page, reasons in NOT_RUN.items() if reasons}
    assert set(left_out) == set(expected)
    for page, reasons in left_out.items():
        assert len(reasons) == len(expected[page])
        for reason, words in zip(reasons, expected[page], strict=True):
            assert words in reason


def test_every_command_that_is_shown_exists():
    for block in BLOCKS:
        if block.language == "bash":
            for command in re.findall(r"-m gan_lab (\w+)", block.text):
                assert command in generator.COMMANDS, f"{block.name}: {command}"


# Running them.


def repository_files():
    """Return what a clone of the working tree would hold."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode:  # no repository: an unpacked archive, an image
        kept = ("gan_lab", "conf", "docs", "examples", "scripts", "tests", "pyproject.toml")
        tops = [*(ROOT / name for name in kept), ROOT / "constraints.txt", *ROOT.glob("*.md")]
        files = [f for top in tops for f in ([top] if top.is_file() else top.rglob("*"))]
        return [f.relative_to(ROOT) for f in files if f.is_file() and f.suffix != ".pyc"]
    names = [Path(name.decode()) for name in listed.stdout.split(b"\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


def executable(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def scratch(tmp_path):
    """A copy of the repository whose .venv is this interpreter, and nothing to install."""
    home = tmp_path / "gan_lab"
    for name in repository_files():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, home / name)
    bin_ = home / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for name in ("python", "python3"):
        executable(bin_ / name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (bin_ / "activate").write_text(f'export PATH="{bin_}:$PATH"\n')
    for extra in ("plain", "dev", "docs"):
        (home / ".venv" / f".installed-{extra}").touch()
    return home


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    path = f"{home / '.venv' / 'bin'}{os.pathsep}{kept['PATH']}"
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "COLUMNS": "100"}
    return {**kept, **one, "PATH": path, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


def run_block(block, home):
    if block.file is not None:
        path = home / block.file
        assert not path.exists(), f"{block.file} is there already"
        path.write_text(block.text)
        return
    if block.language == "bash":
        command = ["bash", "-euo", "pipefail", "-c", block.text]
    elif block.language == "python":
        command = [sys.executable, "-c", block.text]
    else:
        return
    result = subprocess.run(
        command,
        cwd=home,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, f"{block.name}\n{block.text}\n{result.stdout[-3000:]}"


def run_of(page):
    return [block for block in blocks(page) if block.not_run is None and block.language in RUN]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if run_of(page)], ids=page_id)
def test_the_blocks_of_a_page_run_in_order(page, scratch):
    for block in run_of(page):
        run_block(block, scratch)


@pytest.mark.slow
@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.not_run is not None], ids=lambda block: block.name
)
def test_blocks_that_are_not_run(block):
    pytest.skip(block.not_run)


@pytest.mark.slow
def test_every_tag_of_a_run_is_explained(scratch):
    explained = (ROOT / "docs/reference/metrics.md").read_text()
    unknown = set()
    keys = "steps=40 trainer.log_every=20 evaluator.every=20 neural_distance.steps=20"
    command = f"python -m gan_lab train data=ring {keys}"
    for loss in ("minimax", "wasserstein", "wasserstein_clip"):
        out = scratch / "outputs" / loss
        run_block(
            Block("tests/docs", 0, "bash", f"{command} loss={loss} output={out}\n", None, None),
            scratch,
        )
        for line in (out / "metrics.jsonl").read_text().splitlines():
            for tag in json.loads(line):
                plain = re.sub(r"_(low|high|floor)$", "", tag)
                plain = re.sub(r"^final/(?!neural)", "", plain)
                plain = re.sub(r"_(fresh|per_gradient_norm)$", "", plain)
                last = plain.rpartition("/")[2]
                if "/" in plain and f"`{plain}`" not in explained and f"`{last}`" not in explained:
                    unknown.add(tag)
    assert unknown == set()


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs"),
            *("-d", tmp_path / "doctrees", ".", tmp_path / "site"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert (tmp_path / "site" / "docs" / "index.html").exists()
