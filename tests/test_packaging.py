"""What is released installs into an empty environment and works there, without the repository."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from typing import TYPE_CHECKING

import httpx
import pytest

from exporter.assets import SHIPPED, files_below, shipped
from tests.servers import ROOT, free_port, wait_for

if TYPE_CHECKING:
    from pathlib import Path

IGNORED = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist")
NAMES = ("python3.12", "python3.13", "python3.14")


def runs(python: str) -> bool:
    """Whether an interpreter of this name is there and starts."""
    return (
        bool(shutil.which(python))
        and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    )


def backend(call: str, tree: Path) -> None:
    """Call the build backend in a source tree, as `pip` and `build` do."""
    program = f"from setuptools import build_meta; build_meta.{call}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built from the unpacked sdist, as a packager would."""
    place = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT, place / "tree", ignore=IGNORED)
    backend("build_sdist('..')", place / "tree")
    [sdist] = place.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    [unpacked] = [path for path in place.glob("redis_hotkey_exporter-*") if path.is_dir()]
    backend("build_wheel('..')", unpacked)
    [built] = place.glob("*.whl")
    return built


def environment(place: Path, python: str, requirement: str) -> Path:
    """An empty environment with this installed; returns its `bin`."""
    if python == sys.executable:
        venv.create(place, with_pip=False)
    else:
        subprocess.run([python, "-m", "venv", "--without-pip", place], check=True)
    # The test environment has no pip of its own either.
    pip = [getattr(sys, "_base_executable", sys.executable), "-m", "pip", "--python", str(place / "bin" / "python")]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    env = {**os.environ, "PIP_USER": "0"}
    for arguments in (["install", *quiet, requirement], ["check"]):
        done = subprocess.run([*pip, *arguments], capture_output=True, text=True, env=env, check=False, cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
    return place / "bin"


def works(binaries: Path, place: Path) -> float:
    """The installed program's demo answers a scrape; returns the seconds from its start to that."""
    port = free_port()
    program = str(binaries / "hotkey-exporter")
    began = time.monotonic()
    demo = subprocess.Popen([program, "demo", "--listen", f"127.0.0.1:{port}"], cwd=place, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: scraped(port), 20, "the first scrape")
        took = time.monotonic() - began
        page = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text
        assert "assets/page.js?v=" in page
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(10) == 0
    return took


def scraped(port: int) -> bool:
    """Whether /metrics answers."""
    try:
        return "hotkey_exporter_build_info" in httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    except httpx.TransportError:
        return False


@pytest.mark.live
@pytest.mark.timeout(240)
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Its demo runs, nothing is missing (`pip check`), and dashboards and rules can be written out."""
    binaries = environment(tmp_path / "env", sys.executable, f"{wheel}[demo]")
    took = works(binaries, tmp_path)
    print(f"from the start to the first scrape {took:.2f} s")
    assert took < 15
    program = str(binaries / "hotkey-exporter")
    subprocess.run([program, "assets", "export", "out"], cwd=tmp_path, check=True, capture_output=True)
    for name, path in shipped().items():
        assert (tmp_path / "out" / name).read_bytes() == path.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", [name for name in NAMES if runs(name)])
def test_newer_interpreters(wheel: Path, tmp_path: Path, python: str) -> None:
    """The same with every newer Python that is there."""
    works(environment(tmp_path / "env", python, f"{wheel}[demo]"), tmp_path)


def test_the_wheel_holds_the_program_and_its_assets_and_nothing_else(wheel: Path) -> None:
    """No tests, no benchmarks, nothing hidden; the page's files, and every file that `assets` lists."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if not name.endswith("/")} == {
        "exporter", f"redis_hotkey_exporter-{wheel.name.split('-')[1]}.dist-info"
    }  # fmt: skip
    assert {f"exporter/shipped/{name}" for name in shipped()} <= set(names)
    assert {"exporter/views/assets/page.css", "exporter/views/assets/morph.js"} <= set(names)


def test_everything_that_is_named_as_shipped_is_there() -> None:
    """No name leads nowhere, and no directory is empty."""
    files = {str(path.relative_to(ROOT)) for path in files_below(ROOT)}
    assert [name for name in SHIPPED if not any(one == name or one.startswith(f"{name}/") for one in files)] == []
