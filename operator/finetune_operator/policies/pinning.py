"""Holds every pod of a job to the image that its first pod really ran, whatever becomes of the tag."""

from dataclasses import replace
from typing import Final

from finetune_operator.view import View, amended

_DIGEST: Final = "@sha256:"


def pin(view: View) -> View:
    """Freeze the digest of the image as soon as a node tells it."""
    image, prepare = view.plans.image, view.observed.prepare_pod
    pods = (*view.observed.pods, *((prepare,) if prepare else ()))
    digests = (pinned_image(image, pod.image) for pod in pods)
    found = next((digest for digest in digests if digest), None)
    if found is None:
        return view
    view = replace(view, blueprint=replace(view.plans, image=found))
    return view.report(frozen=amended(view.frozen, image=found))


def pinned_image(image: str, seen: str) -> str | None:
    """Return `image` with the digest in `seen`, as a node reports it.

    None when it has a digest already, and when what was seen cannot be pulled as this image: one that was loaded into
    the node by hand has no digest, or one under another name.
    """
    repository, digest, checksum = seen.partition("://")[2 if "://" in seen else 0].partition(_DIGEST)
    if "@" in image or not digest or repository != _repository(image):
        return None
    return f"{repository}{digest}{checksum}"


def _repository(image: str) -> str:
    """The full name of an image without its tag, as nodes write it: `busybox:1` is `docker.io/library/busybox`."""
    path, slash, last = image.rpartition("/")
    name = f"{path}{slash}{last.partition(':')[0]}"
    host = name.partition("/")[0]
    if "/" not in name:
        return f"docker.io/library/{name}"
    return name if "." in host or ":" in host or host == "localhost" else f"docker.io/{name}"
