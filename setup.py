"""What pyproject.toml cannot say: files from beside the package go into the wheel, for `hotkey-exporter assets`."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from exporter.assets import files_below  # noqa: E402 - of this very tree, which a build's environment does not know


class BuildWithAssets(build_py):
    """Copies them into `exporter/shipped` of what is built; a development install reads them where they are."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        shipped = Path(self.build_lib) / "exporter" / "shipped"
        shutil.rmtree(shipped, ignore_errors=True)
        for path in files_below(ROOT):
            place = shipped / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


setup(cmdclass={"build_py": BuildWithAssets})
