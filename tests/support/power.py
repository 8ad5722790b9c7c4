"""A disk that keeps, when the power goes, only what was synced: what would be lost of a folder."""

import os
from pathlib import Path

import pytest


class Disk:
    """Remembers what each file and directory held when it was last synced."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], bytes | set[str]] = {}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "Disk":
        """Watch this process from now on."""
        sync = os.fsync

        def fsync(descriptor: int) -> None:
            sync(descriptor)
            self._keep(Path(f"/proc/self/fd/{descriptor}"))

        monkeypatch.setattr(os, "fsync", fsync)
        return self

    def kept(self, file: Path) -> bytes:
        """Return what a file would hold."""
        found = self._kept.get(_identity(file), b"")
        assert isinstance(found, bytes)
        return found

    def lost(self, path: Path) -> list[Path]:
        """Return what is in a file or folder and would not be, or would be different."""
        if path.is_file():
            return [] if self.kept(path) == path.read_bytes() else [path]
        kept = self._kept.get(_identity(path), set())
        entries = sorted(path.iterdir())
        return [entry for entry in entries if entry.name not in kept] + [gone for e in entries for gone in self.lost(e)]

    def _keep(self, path: Path) -> None:
        self._kept[_identity(path)] = {entry.name for entry in path.iterdir()} if path.is_dir() else path.read_bytes()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
