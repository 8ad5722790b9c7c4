"""Local directories in the place of a manifest's volumes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.job.volumes import DatasetInput, ModelInput
from finetune_api.manifest import JobManifest


@dataclass(frozen=True)
class Mount:
    """A directory of this machine, and the path at which a pod would see it."""

    mount_path: str
    directory: Path

    def inside(self, path: str) -> Path | None:
        """Where an absolute path of the pod lies on this machine, or None when it is not below the mount."""
        pure = PurePosixPath(path)
        if not pure.is_relative_to(self.mount_path):
            return None
        return self.directory / pure.relative_to(self.mount_path)


@dataclass(frozen=True)
class JobMounts:
    """What a job's volumes are on this machine."""

    inputs: tuple[Mount, ...]
    """Dataset and model."""
    code: Path | None
    output: Path | None


def parse_mounts(mounts: Sequence[str], *, unused: bool = False) -> dict[str, Path]:
    """Read `NAME=DIR` options; raises ConfigInvalid for a bad one, or for any where none makes sense."""
    problems, found = [], {}
    for mount in mounts:
        name, equals, directory = mount.partition("=")
        if not (name and equals and directory):
            problems.append(Problem("--mount", f"{mount!r} is not NAME=DIR", "for example --mount arc-easy=./data"))
        elif unused:
            problems.append(Problem("--mount", f"{name}: a training YAML has no volumes", "leave it out"))
        elif not Path(directory).is_dir():
            problems.append(Problem("--mount", f"{name}: there is no directory {directory}"))
        else:
            found[name] = Path(directory).absolute()
    if problems:
        raise ConfigInvalid.of(problems)
    return found


def job_mounts(manifest: JobManifest, given: Mapping[str, Path], scratch: Path) -> JobMounts:
    """Find a directory for every volume of the job.

    A ConfigMap of the same file is written below `scratch` unless `given` names a directory for it. Raises
    ConfigInvalid for volumes without a directory, for names the job does not have, and for what only a cluster
    can fetch.
    """
    finder = _Finder(manifest, given, scratch)
    spec = manifest.job.spec
    inputs = [
        Mount(part.mount_path, directory)
        for path, part in (("spec.dataset", spec.dataset), ("spec.model", spec.model))
        if part is not None and (directory := finder.of_input(path, part)) is not None
    ]
    code = finder.config_map("spec.code", spec.code.config_map.name) if spec.code else None
    output = finder.of_output()
    finder.finish()
    return JobMounts(tuple(inputs), code, output)


class _Finder:
    """Looks up directories by volume name and collects what is missing."""

    def __init__(self, manifest: JobManifest, given: Mapping[str, Path], scratch: Path) -> None:
        self._manifest, self._given, self._scratch = manifest, given, scratch
        self._known: set[str] = set()
        self._problems: list[Problem] = []

    def of_input(self, path: str, part: DatasetInput | ModelInput) -> Path | None:
        if part.source is not None:
            uri = part.source.uri
            hint = "download it, and use a volume with --mount instead"
            self._problems.append(Problem(f"{path}.source", f"{uri} is fetched in a cluster only", hint))
        if part.volume is None:
            return None
        if part.volume.config_map is not None:
            return self.config_map(f"{path}.volume", part.volume.config_map.name)
        claim = part.volume.persistent_volume_claim
        return self._claim(f"{path}.volume", claim.claim_name) if claim is not None else None

    def config_map(self, path: str, name: str) -> Path | None:
        """The directory given for a ConfigMap, or the one its content in the same file is written to."""
        self._known.add(name)
        if name in self._given:
            return self._given[name]
        files = self._manifest.config_map(name)
        if files is None:
            self._missing(path, f"ConfigMap {name} is not in this file", name)
            return None
        return _materialise(files, self._scratch / name)

    def of_output(self) -> Path | None:
        """The directory given for the output's claim; without one the output is an ordinary directory."""
        output = self._manifest.job.spec.output
        if output.volume is None:
            return None
        name = output.volume.persistent_volume_claim.claim_name
        self._known.add(name)
        directory = self._given.get(name)
        return directory / (output.sub_path or "") if directory else None

    def finish(self) -> None:
        """Raise ConfigInvalid with everything that was not found, and with mounts nobody asked for."""
        for name in sorted(set(self._given) - self._known):
            known = ", ".join(sorted(self._known)) or "none"
            self._problems.append(Problem("--mount", f"the job has no volume {name}", f"it has: {known}"))
        if self._problems:
            raise ConfigInvalid.of(self._problems)

    def _claim(self, path: str, name: str) -> Path | None:
        self._known.add(name)
        if name not in self._given:
            self._missing(path, f"no directory stands for the claim {name}", name)
        return self._given.get(name)

    def _missing(self, path: str, what: str, name: str) -> None:
        self._problems.append(Problem(path, what, f"add --mount {name}=DIR"))


def _materialise(files: Mapping[str, str], directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in _plain_files(files):
        (directory / name).write_text(content, encoding="utf-8")
    return directory


def _plain_files(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A ConfigMap's keys are file names without directories; others could not exist in a cluster."""
    for name, content in files.items():
        if PurePosixPath(name).name == name and name not in (".", ".."):
            yield name, content
