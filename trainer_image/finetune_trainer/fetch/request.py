"""What is to be fetched, as the command line says it, and the errors about it."""

import hashlib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from finetune_api.errors import DatasetInvalid, ModelUnavailable, RunError

What = Literal["dataset", "model", "hub-dataset", "hub-model", "hub-tokenizer"]

_VARIABLES = {
    "hf": "HF_TOKEN",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS (the key file's content)",
}


@dataclass(frozen=True)
class Request:
    """One thing to fetch: a URI, or the name of a repository of the hub."""

    what: What
    uri: str
    revision: str | None = None

    @classmethod
    def parse(cls, what: What, text: str) -> "Request":
        """Read `URI[@REVISION]`; only the hub has revisions, so an @ in another URI is part of it."""
        if what in ("dataset", "model") and not text.startswith("hf://"):
            return cls(what, text)
        uri, _, revision = text.partition("@")
        return cls(what, uri, revision or None)

    @property
    def scheme(self) -> str:
        """hf, s3, gs or https."""
        return self.uri.partition("://")[0] if "://" in self.uri else "hf"

    @property
    def shown(self) -> str:
        """The source as it may be printed: without user, password and query, which may be secrets."""
        if "://" not in self.uri:
            return self.uri
        parts = urlsplit(self.uri)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return f"{place}@{self.revision}" if self.revision else place

    @property
    def identity(self) -> str:
        """A hash of the source, which may be kept on disk."""
        return hashlib.sha256(f"{self.uri}@{self.revision or ''}".encode()).hexdigest()

    def failure(self, problem: str, hint: str) -> RunError:
        """Return the error that ends the job: nothing will change by trying again."""
        kind = DatasetInvalid if self.what in ("dataset", "hub-dataset") else ModelUnavailable
        return kind(f"{self.what.replace('hub-', '')} {self.shown}: {problem}.", hint=hint)

    def denied(self, status: str) -> RunError:
        """Return the error about missing or insufficient credentials."""
        part = "dataset" if self.what in ("dataset", "hub-dataset") else "model"
        if self.scheme not in _VARIABLES:
            return self.failure(
                f"access is denied ({status})", "Use a link that needs no login, or one that is signed."
            )
        hint = f"Name a Secret with {_VARIABLES[self.scheme]} in spec.{part}.source.secretRef"
        hint += ", and accept the terms on the hub if there are any." if self.scheme == "hf" else "."
        return self.failure(f"access is denied ({status})", hint)

    def missing(self) -> RunError:
        """Return the error about a source that does not exist."""
        if self.scheme == "hf":
            hint = "Check the name and the revision; a private one needs HF_TOKEN from a secretRef."
        else:
            hint = "Check the address."
        return self.failure("there is nothing of this name", hint)
