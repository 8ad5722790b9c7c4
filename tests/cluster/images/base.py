"""The base image without a registry: a small Debian with Python, from the distribution's own packages."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from cluster.components import Command
from cluster.local import host

_SUITE: Final = "bookworm"
_MIRROR: Final = "http://deb.debian.org/debian"
_PACKAGES: Final = ("ca-certificates", "python3", "python3-venv")
_BUNDLE: Final = "etc/ssl/certs/ca-certificates.crt"
_USELESS: Final = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man")
DOCKERFILE: Final = 'FROM scratch\nADD base.tar /\nCMD ["sleep", "infinity"]\n'


class BaseFailed(Exception):
    """The base could not be made; the message is debootstrap's."""


def key() -> str:
    """Return a digest of what the base is made of."""
    parts = (_SUITE, _MIRROR, *_PACKAGES, *_USELESS, DOCKERFILE)
    return hashlib.sha256("\0".join(parts).encode() + _own_authorities()).hexdigest()


def write(context: Path) -> None:
    """Fill `context` with a Dockerfile and the archive that it adds."""
    with tempfile.TemporaryDirectory(dir=context.parent) as folder:
        root = Path(folder, "root")
        _bootstrap(root)
        for useless in _USELESS:
            shutil.rmtree(root / useless, ignore_errors=True)
        with (root / _BUNDLE).open("ab") as bundle:
            bundle.write(_own_authorities())
        archive: Command = ["tar", "--create", "--numeric-owner", "--exclude=./dev/*", "--directory", root]
        subprocess.run([*archive, "--file", context / "base.tar", "."], check=True)
    (context / "Dockerfile").write_text(DOCKERFILE, encoding="ascii")


def _bootstrap(root: Path) -> None:
    include = f"--include={','.join(_PACKAGES)}"
    command: Command = [host.program("debootstrap"), "--variant=minbase", include, _SUITE, root, _MIRROR]
    environment = {**os.environ, **host.environment()}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BaseFailed("\n".join((done.stdout + done.stderr).splitlines()[-8:]))


def _own_authorities() -> bytes:
    """Return the certificates that this machine trusts: a build here passes where the machine's own downloads do."""
    for place in (os.environ.get("SSL_CERT_FILE"), f"/{_BUNDLE}"):
        if place and Path(place).is_file():
            return Path(place).read_bytes()
    return b""
