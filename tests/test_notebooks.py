"""examples/notebooks: stored without outputs, and each runs from top to bottom."""

import ast
import json
import re

import pytest

from tests.helpers import ONE, ROOT

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# Numbers that a run has to print: known in closed form, or far from where they would be by mistake.
EXPECTED = {
    "first_run": [
        r"\(64, 2\)\n",
        r"divergence/wasserstein +0\.(0[5-9]|1)\d+ +\[",
        r"W1 is (0\.[6-9]|1\.[0-6])\d times its floor",
        r"the same samples: True",
        r"divergence/wasserstein +(4\.9|5\.[01])\d+ +\[",  # the shift is 5
        r"step 100: the critic sees a distance of 1\.\d+",
    ],
    "compare_losses": [
        r"wasserstein \+ gradient_penalty +0\.[23]\d+ .* 3\n",
        r"On ring, wasserstein \+ gradient_penalty has the lowest exact W1",
        r"four_losses\.html",
    ],
    "parallel_segments": [
        r"theta  -0\.5   JS 0\.693 nats   W1 0\.500",
        r"theta   0\.0   JS 0\.000 nats   W1 0\.000",
        r"minimax .*e-0[4-9]\n",  # it vanishes
        r"non-saturating .*e\+0[01]\n",  # it does not
        r"WGAN-GP .*(9\.\de-01|1\.[01]e\+00)\n",  # the derivative of W1 is 1
    ],
    "your_own_loss": [
        r"trained: (\['0\.6429', '0\.4500', '0\.2571'\])\ntheory: +\1",
        r"\['1\.376', '0\.799'\] card: \(1\.376, 0\.799\)",
        r"Smoothed labels  W1 [01]\.\d{3}\n",
        r"floor            W1 0\.0\d\d\n",
    ],
}


@each_notebook
def test_a_notebook_is_small_ascii_and_without_outputs(path):
    text = path.read_text()
    assert text.isascii()
    assert len(text) < 12_000
    notebook = json.loads(text)
    assert notebook["nbformat"] == 4
    assert notebook["cells"][0]["cell_type"] == "markdown"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 2
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        ast.parse("".join(cell["source"]))  # Python, no magics: it runs as a script too


def test_each_notebook_has_numbers_to_print():
    assert {path.stem for path in NOTEBOOKS} == set(EXPECTED)


def printed(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.slow
@each_notebook
def test_a_notebook_runs_and_prints_what_it_says(path, tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for name in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    notebook = nbformat.read(path, as_version=4)
    environment = {**ONE, "PYTHONPATH": str(ROOT)}
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute(env=environment)  # an error in a cell is raised here
    text = printed(notebook)
    for pattern in EXPECTED[path.stem]:
        assert re.search(pattern, text), f"{pattern}\n{text}"
