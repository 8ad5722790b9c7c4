"""Objects in S3 and Google Cloud Storage: one, or all whose names begin with a directory."""

import hashlib
import json
import os
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

from finetune_api.errors import Retryable
from finetune_trainer.data.hub_errors import error_chain
from finetune_trainer.disk_errors import DISK_FULL
from finetune_trainer.fetch.explaining import explained, first_line
from finetune_trainer.fetch.patience import require_room
from finetune_trainer.fetch.request import Request

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_VERSION_KEYS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "updated", "size")
_AWS_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden", "NoCredentials", "ExpiredToken")
# By name, so that asking imports neither botocore nor aiohttp.
_NETWORK = ("ClientError", "HTTPClientError", "BotoCoreError", "HttpError", "TimeoutError", "OSError")


class ObjectStore:
    """What lies at `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._path = request.uri.partition("://")[2].rstrip("/")
        self._system: Any = None

    def version(self) -> str:
        """Return a hash of the names, sizes and tags of all objects."""
        with explained(self._request, _explanation):
            facts = {
                name: [str(info.get(key)) for key in _VERSION_KEYS if key in info]
                for name, info in self._objects().items()
            }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def download(self, directory: Path) -> None:
        """Fetch the objects that are not there yet."""
        with explained(self._request, _explanation):
            objects = self._objects()
            require_room(directory, sum(int(info["size"] or 0) for info in objects.values()) - _present(directory))
            for name, info in objects.items():
                self._fetch(name, int(info["size"] or 0), directory / self._relative(name))

    def _objects(self) -> dict[str, Any]:
        if self._system is None:
            self._system = _open_store(self._request)
        self._system.invalidate_cache()
        found = self._system.find(self._path, detail=True)
        files = {name: info for name, info in found.items() if not name.endswith("/")}
        if not files:
            raise self._request.missing()
        return files

    def _relative(self, name: str) -> PurePosixPath:
        inside = name.removeprefix(self._path).lstrip("/") or PurePosixPath(name).name
        relative = PurePosixPath(inside)
        if relative.is_absolute() or ".." in relative.parts:
            raise self._request.failure(f"the object {name} would lie outside of its directory", "Rename it.")
        return relative

    def _fetch(self, name: str, size: int, file: Path) -> None:
        if file.is_file() and file.stat().st_size == size:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{file.name}.part")
        self._system.get_file(name, str(aside))
        if aside.stat().st_size != size:
            raise Retryable(f"{self._request.shown}: {name} ended after {aside.stat().st_size} of {size} bytes")
        aside.replace(file)


def _open_store(request: Request) -> Any:
    """Credentials come from the environment alone: without any, objects are read as anybody may, not as the node."""
    package = _PACKAGES[request.scheme]
    try:
        library = import_module(package)
    except ImportError as error:
        hint = f"Add {package} to the image, or use the trainer image."
        raise request.failure(f"this image cannot read {request.scheme}://, {package} is missing", hint) from error
    if request.scheme == "s3":
        return library.S3FileSystem(anon=not any(os.environ.get(name) for name in _AWS_CREDENTIALS))
    return library.GCSFileSystem(token=_google_token(request), session_kwargs={"trust_env": True})


def _google_token(request: Request) -> Any:
    given = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") or os.environ.get("GOOGLE_CREDENTIALS")
    if not given:
        return "anon"
    if not given.lstrip().startswith("{"):
        return given
    try:
        return json.loads(given)
    except ValueError as error:
        hint = "Put the content of a key file into the Secret, unchanged."
        raise request.failure("GOOGLE_APPLICATION_CREDENTIALS is not JSON", hint) from error


def _present(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _explanation(request: Request, error: Exception) -> Exception:
    chain = list(error_chain(error))
    if any(isinstance(link, OSError) and link.errno in DISK_FULL for link in chain):
        return Retryable(f"{request.shown}: the disk is full", hint="Make room on the output volume.")
    if any(_is_denied(link) for link in chain):
        return request.denied("credentials are missing or do not suffice")
    if isinstance(error, FileNotFoundError):
        return request.missing()
    names = {cls.__name__ for link in chain for cls in type(link).__mro__}
    if names.intersection(_NETWORK):
        return Retryable(f"{request.shown}: cannot be fetched now ({type(error).__name__}: {first_line(error)})")
    return error


def _is_denied(error: BaseException) -> bool:
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    status = getattr(error, "code", None)
    named = f"{type(error).__name__} {code} {str(error).partition(':')[0]}"  # gcsfs raises a plain OSError
    return isinstance(error, PermissionError) or status in (401, 403) or any(word in named for word in _DENIED)
