"""The wheel carries conf/ and trains without the checkout; the checkout uses its own conf/."""

import subprocess
import sys
import zipfile

import pytest

from gan_lab.config import compose
from tests.helpers import CONF, ONE, RING, ROOT, files

WITHOUT_THE_CHECKOUT = """
import sys
sys.path[:] = [sys.argv.pop(1)] + [p for p in sys.path if p not in ("", {root!r})]
import gan_lab
from gan_lab.cli.main import main
from gan_lab.config.compose import config_dir
print(gan_lab.__file__, config_dir())
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    return next(iter(builder.build(directory=str(tmp_path_factory.mktemp("wheel")))))


def test_the_wheel_holds_every_module_and_every_config_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in CONF.rglob("*.yaml"):
        assert f"gan_lab/conf/{path.relative_to(CONF).as_posix()}" in names
    for path in (ROOT / "gan_lab").rglob("*.py"):
        assert path.relative_to(ROOT).as_posix() in names
    outside = {n for n in names if not n.startswith("gan_lab/") and ".dist-info/" not in n}
    assert outside == set()
    assert not any(n.endswith((".pyc", ".pt")) for n in names)


def test_the_console_script_is_the_command_line(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("entry_points.txt")]
        assert "gan_lab = gan_lab.cli.main:entry" in archive.read(name).decode()


def test_the_checkout_uses_its_own_conf():
    assert compose.config_dir() == CONF
    assert not (ROOT / "gan_lab" / "conf").exists()


@pytest.mark.slow
def test_the_wheel_trains_from_an_empty_directory_without_the_checkout(wheel, tmp_path):
    installed, cwd = tmp_path / "installed", tmp_path / "empty"
    cwd.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(installed), wheel], check=True)
    script = WITHOUT_THE_CHECKOUT.format(root=str(ROOT))
    command = [sys.executable, "-c", script, str(installed), "train", *RING, "trainer.steps=2"]
    ended = subprocess.run(command, cwd=cwd, env=ONE, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    module, conf = ended.stdout.splitlines()[0].split()
    assert module == str(installed / "gan_lab" / "__init__.py")
    assert conf == str(installed / "gan_lab" / "conf")
    assert [p for p in files(cwd) if p.name == "step_00000002.pt"]
