"""The operator as people install it: from its chart, with Helm."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.binaries import find
from support.shell import ROOT

CHART: Final = ROOT / "charts" / "finetune-operator"
RELEASE: Final = "finetune-operator"
SYSTEM: Final = "finetune-system"


@dataclass(frozen=True)
class Release:
    """One installation, from images that are on the nodes."""

    kubeconfig: Path
    operator_image: str
    trainer_image: str

    def upgrade(self, *values: str) -> str:
        """Install, or change what is installed, and wait until the operator is ready; AssertionError when it is not."""
        images = (("image", self.operator_image), ("trainer.image", self.trainer_image))
        sets = [f"--set={key}.{part}" for key, image in images for part in _parts(image)]
        sets += [f"--set={value}" for value in values]
        wait = ("--create-namespace", "--wait", "--timeout", "240s")
        return self._helm("upgrade", "--install", RELEASE, CHART, *wait, *sets)

    def uninstall(self) -> None:
        """Remove it, and wait until it is gone."""
        self._helm("uninstall", RELEASE, "--wait", "--timeout", "180s")

    def test(self) -> str:
        """Run the chart's own test."""
        return self._helm("test", RELEASE, "--timeout", "180s", "--logs")

    def _helm(self, *arguments: str | Path) -> str:
        command = [find("helm"), "--kubeconfig", self.kubeconfig, "--namespace", SYSTEM, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"helm {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
        return done.stdout


def values_for(*images: str) -> str:
    """Return a file of values that names the images of the operator and of the trainer."""
    operator, trainer = (dict(zip(("repository", "tag"), image.rsplit(":", 1), strict=True)) for image in images)
    return json.dumps({"image": operator, "trainer": {"image": trainer}})


def _parts(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    return f"repository={repository}", f"tag={tag}"
