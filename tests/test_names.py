"""Names say what the field says: one word a concept, values are nouns, actions are verbs."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gan_lab"
FILES = sorted(PACKAGE.rglob("*.py"))

# The right-hand column of docs/glossary.md: words of ours for what the field has a word for.
WORDS = (
    *("measure", "ruler", "reading", "game", "player", "moved", "slope", "held", "light"),
    *("readable", "probe", "film", "frame", "journal", "board", "recorder", "provenance"),
    *("leads", "lead", "most", "share", "by_hand", "watch", "happening"),
    *("pace", "pacing", "governor", "attribute", "retraced", "opened", "options"),
)
# Whole names that may hold one of them, each with its reason.
ALLOWED_WORDS = {
    "held_out": "the field's word for data that nothing was chosen on",
    "measure": "the verb: a function that measures",
    "negative_slope": "torch's name of a leaky relu's parameter",
    "at_most": "the upper bound of a check, beside at_least",
    "FrameType": "Python's stack frame, in a signal handler",
    "TensorBoard": "a name that is not ours",
    "frame": "Python's stack frame, in a signal handler",
    "share": "a fraction of a whole",
    "parse_options": "what argparse and Hydra call key=value",
}
# Adjectives and events that end like a participle.
ALLOWED_PARTICIPLES = {
    "RunDiverged": "an exception is named for what happened",
    "Interrupted": "an exception is named for what happened",
    "RankFailed": "an exception is named for what happened",
    "CheckpointDamaged": "an exception is named for what happened",
    "CheckpointNotSaved": "an exception is named for what happened",
    "resolved": "a configuration without interpolations, in the word of OmegaConf",
    "stacked": "seeds in one leading axis: the field of a run's networks",
    "measured": "a claim's number, beside expected",
    "expected": "a claim's number, beside measured",
    "passed": "a check's verdict, and its key in result.json",
    "pooled": "features averaged over an image: the field's word, as in global average pooling",
    "compiled": "torch's word for what torch.compile returns",
}
IRREGULAR = frozenset(
    """
    told taken led said found held left given known kept made drawn seen shown written gone done
    chosen sent lost built met meant felt begun thrown worn grown broken torn brought caught sought
    taught bought fought thought sold spent lent bent dealt slept swept wept stood understood paid
    laid heard hidden eaten fallen risen spoken stolen frozen driven ridden forgotten forgiven
    forbidden shaken mistaken proven hung dug stuck struck won spun
    """.split()  # noqa: SIM905
)
NOT_PARTICIPLES = {"seed", "speed", "need", "feed", "red", "embed", "bed", "indeed", "exceed"}


def identifiers(path):
    """(kind, name, line) of all that a file gives a name to."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def parts(name):
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().strip("_").split("_")


def words_in(name):
    """The words of the list that a name holds, in the singular or plural."""
    own = parts(name)
    for word in WORDS:
        wanted = word.split("_")
        for start in range(len(own) - len(wanted) + 1):
            if all(
                part in (each, f"{each}s") for part, each in zip(own[start:], wanted, strict=False)
            ):
                yield word


def is_allowed(name):
    """Whether the name is allowed, or all of it that holds a word is."""
    bare = "_".join(parts(name))
    for allowed in map("_".join, map(parts, ALLOWED_WORDS)):
        bare = re.sub(rf"(^|_){allowed}s?(?=_|$)", r"\1", bare)
    return not any(words_in(bare))


def is_participle(name):
    bare = name.strip("_")
    if len(parts(name)) > 1 and not name.isupper():
        return False
    word = bare.lower()
    regular = len(word) > 4 and word.endswith("ed") and word not in NOT_PARTICIPLES
    return (word in IRREGULAR or regular) and bare not in ALLOWED_PARTICIPLES


def of_file(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=of_file)
def test_no_name_is_a_word_of_ours(path):
    found = [
        f"{path.name}:{line}: {name}" for name, line in identifiers(path) if not is_allowed(name)
    ]
    assert found == []
    assert is_allowed(path.stem), f"{path.name} as a file's name"


@pytest.mark.parametrize("path", FILES, ids=of_file)
def test_no_name_is_a_bare_participle(path):
    found = [f"{path.name}:{line}: {n}" for n, line in identifiers(path) if is_participle(n)]
    assert found == []


def keys(node):
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from keys(value)
    elif isinstance(node, list):
        for each in node:
            yield from keys(each)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "conf").rglob("*.yaml")), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_no_key_of_the_configuration_is_a_word_of_ours(path):
    assert is_allowed(path.stem)
    assert [key for key in keys(yaml.safe_load(path.read_text())) if not is_allowed(key)] == []


TAG = re.compile(
    r"(?:final/)?(?:loss|gradient|discriminator_estimate|divergence|neural_distance|modes|samples"
    r"|weights|time|clock|probe|features)/[a-z0-9_/]+"
)


@pytest.mark.parametrize("path", FILES, ids=of_file)
def test_no_tag_is_a_word_of_ours(path):
    if path.name == "compatibility.py":  # the one table of what was
        return
    strings = [
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    tags = [tag for text in strings for tag in TAG.findall(text)]
    # Names of random streams are seeds of kept results, not tags.
    wrong = [tag for tag in tags if not all(map(is_allowed, tag.split("/")))]
    assert [tag for tag in wrong if not tag.startswith("probe/")] == []


def test_the_rules_see_what_they_forbid():
    assert not is_allowed("film_every")
    assert not is_allowed("RulerSettings")
    assert not is_allowed("n_games")
    assert is_allowed("n_held_out")
    assert is_participle("_told")
    assert is_participle("opened")
    assert not is_participle("n_seeds")
    assert not is_participle("stacked")
