"""Planted bugs still apply, and each is seen by a test."""

import ast
import re

import pytest

from tests.campaigns import planted
from tests.campaigns.planted import Bug
from tests.campaigns.record import ROOT

BUGS = planted.bugs()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: re.sub(r"\W+", "-", bug.bug))
def test_a_bug_applies_to_the_code_as_it_is_and_names_tests_there_are(bug):
    text = (ROOT / bug.file).read_text()
    changed = bug.plant(text)
    assert changed != text
    ast.parse(changed, bug.file)
    for test in bug.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / file).read_text()


def test_no_bug_is_planted_twice():
    assert len({bug.bug for bug in BUGS}) == len(BUGS) >= 40
    assert len({(bug.file, bug.old, bug.new) for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("text", ["", "x = 1\nx = 1\n"])
def test_a_bug_whose_line_is_gone_or_stands_twice_is_refused(text):
    bug = Bug("metrics", "one too many", "a.py", "x = 1", "x = 2", ("test_a.py",))
    assert bug.plant("x = 1\n") == "x = 2\n"
    with pytest.raises(LookupError, match="up to date"):
        bug.plant(text)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of one function with one test, in place of gan_lab."""
    for name, text in {
        "gan_lab/__init__.py": "def double(x):\n    return 2 * x\n",
        "tests/__init__.py": "",
        "tests/test_double.py": "import gan_lab\n\n\ndef test_double():\n"
        "    assert gan_lab.double(0) == 0\n\n\ndef test_double_of_one():\n"
        "    assert gan_lab.double(1) == 2\n",
        "conf/empty.yaml": "",
        "pyproject.toml": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tests" / "campaigns").symlink_to(ROOT / "tests" / "campaigns")
    monkeypatch.setattr(planted, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_bug_is_seen_or_not_and_the_code_stays_as_it_is(package, monkeypatch):
    tests = ("tests/test_double.py",)
    bug = Bug("a", "added", "gan_lab/__init__.py", "2 * x", "2 + x", tests)
    unseen = Bug("a", "unseen", "gan_lab/__init__.py", "2 * x", "x * 2", tests)
    monkeypatch.setattr(planted, "bugs", lambda: [unseen, bug])
    result = planted.campaign()
    assert result.rows() == [{"kind": "a", "tried": 2, "survived": 1, "lost": 1}]
    assert result.lost[0].what == "unseen"
    seen = [row["seen by"] for row in result.measured["Each bug and the first test that fails"]]
    assert seen == ["", "tests/test_double.py::test_double"]
    assert (package / "gan_lab/__init__.py").read_text().endswith("return 2 * x\n")
    (package / "gan_lab/__init__.py").write_text("def double(x):\n    return 3 * x\n")
    with pytest.raises(RuntimeError, match="test_double_of_one fails without a bug"):
        planted.campaign()


@pytest.mark.slow
def test_each_planted_bug_is_seen_by_a_test():
    assert planted.campaign().lost == []
