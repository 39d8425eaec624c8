"""What the files for Docker and CI promise, as far as it can be read from them."""

import re
import tomllib

import pytest
import yaml

from tests.helpers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STAGES = re.split(r"^(?=FROM )", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
MATRIX = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)


def requirements():
    extras = PROJECT["optional-dependencies"].values()
    return [r for group in (PROJECT["dependencies"], *extras) for r in group]


def numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


@pytest.mark.parametrize("requirement", requirements())
def test_what_is_required_is_pinned_within_its_bounds(requirement):
    name, least, most = re.fullmatch(r"([\w.-]+)>=([\d.]+)(?:,<([\d.]+))?", requirement).groups()
    if name == "trackio":  # asks for an older pillow than the one that is pinned
        assert name not in PINS
        return
    pins = {pinned.lower().replace("_", "-"): version for pinned, version in PINS.items()}
    pinned = numbers(pins[name.lower()])
    assert pinned >= numbers(least)
    assert most is None or pinned < numbers(most)


def test_every_install_in_the_image_is_held_to_the_constraints():
    installs = re.findall(r"pip install .*", "".join(STAGES))
    assert len(installs) == 4
    for line in installs:
        assert "--constraint constraints.txt" in line or "--no-deps --prefix" in line
        assert "--no-cache-dir" in line


def test_the_images_that_run_are_nobody_s_root_and_hold_no_tools():
    final, tests = STAGES[-1], next(stage for stage in STAGES if " AS test" in stage)
    for stage in (final, tests):
        assert re.findall(r"^USER (.*)", stage, flags=re.M) == ["1000:1000"]
    assert "pip" not in final
    assert "[dev]" in tests
    assert "test" not in final


def test_nothing_is_fetched_but_by_pip_and_apt():
    text = "".join(STAGES)
    assert re.findall(r"^ADD|curl|wget|git clone", text, flags=re.M) == []
    bases = re.findall(r"^FROM (\S+)", text, flags=re.M)
    assert set(bases) == {"${BASE}", "base", "environment"}


def test_the_base_has_a_python_that_ci_tests():
    text = (ROOT / "Dockerfile").read_text()
    base = re.search(r"^ARG BASE=python:([\d.]+)-slim-\w+$", text, re.M)
    assert base[1] in MATRIX


def test_what_the_image_copies_is_let_through_and_nothing_private_is():
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    assert let_through[0] == "**"
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", "".join(STAGES), flags=re.M):
        assert {f"!{name}" for name in source.split() if name != "."} <= set(let_through)
    assert not {"!.git", "!outputs", "!.venv", "!."} & set(let_through)


def test_the_services_are_train_reproduce_and_tensorboard():
    assert set(SERVICES) == {"train", "reproduce", "tensorboard"}
    for name in ("train", "reproduce"):
        assert SERVICES[name]["entrypoint"] == ["python", "-m", "gan_lab", name]
        assert SERVICES[name]["volumes"] == ["./outputs:/outputs"]
        assert SERVICES[name]["profiles"] == ["run"]  # not started by `up`


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_write_nothing_but_outputs_and_tmp_and_take_no_more_than_its_share(name):
    service = SERVICES[name]
    limits = {
        **{"read_only": True, "tmpfs": ["/tmp:mode=1777"], "user": "${LAB_USER:-1000:1000}"},
        **{"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]},
        **{"mem_limit": "${LAB_MEMORY:-8g}", "pids_limit": 2048},
    }
    assert service | limits == service
    assert not {"privileged", "network_mode", "cap_add", "pid"} & set(service)


def test_tensorboard_is_on_the_loopback_reads_only_and_is_asked_how_it_is():
    service = SERVICES["tensorboard"]
    assert service["ports"] == ["127.0.0.1:6006:6006"]
    assert service["volumes"] == ["./outputs:/outputs:ro"]
    kind, python, dash_c, program = service["healthcheck"]["test"]
    assert (kind, python, dash_c) == ("CMD", "python", "-c")
    assert "http://127.0.0.1:6006/" in program
    compile(program, "healthcheck", "exec")
    assert [each for each in SERVICES if "ports" in SERVICES[each]] == ["tensorboard"]


def test_one_build_argument_makes_the_gpu_image():
    gpu = yaml.safe_load((ROOT / "compose.gpu.yaml").read_text())["services"]
    assert set(gpu) == {"train", "reproduce"}
    for name, service in gpu.items():
        assert service["build"]["args"] == {"VARIANT": "cuda"}
        assert SERVICES[name]["build"]["args"] == {"VARIANT": "cpu"}
        assert service["image"] != SERVICES[name]["image"]
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]


def test_ci_runs_on_every_python_named_and_on_three_systems():
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert [lowest, "3.13", "3.14"] == MATRIX
    others = WORKFLOW["jobs"]["other_systems"]
    systems = others["strategy"]["matrix"]["system"]
    assert [system.partition("-")[0] for system in systems] == ["windows", "macos"]
    commands = [line for s in others["steps"] for line in s.get("run", "").splitlines()]
    assert {command.partition(" ")[0] for command in commands} == {"python"}  # no bash on Windows
    assert 'python -m pytest -m "fast and not slow and not gpu"' in commands
    (bounds,) = (s for s in WORKFLOW["jobs"]["bounds"]["steps"] if "setup-python" in str(s))
    assert bounds["with"]["python-version"] == lowest


def test_ci_does_what_the_ci_script_does_and_more():
    commands = [step.get("run", "") for step in WORKFLOW["jobs"]["test"]["steps"]]
    assert "bash .ci/run" in commands
    assert any("tests/test_wheel.py" in command for command in commands)
    assert any(command.endswith("gan_lab reproduce") for command in commands)


def test_ci_may_only_read_and_its_actions_are_commits():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
    for job in WORKFLOW["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 90
        for step in (step for step in job["steps"] if "uses" in step):
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
            if "checkout" in step["uses"]:
                assert step["with"]["persist-credentials"] is False
