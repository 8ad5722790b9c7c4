"""Which kind of source an address is."""

from finetune_trainer.fetch.https import HttpsFile
from finetune_trainer.fetch.hub import HubRepository
from finetune_trainer.fetch.objects import ObjectStore
from finetune_trainer.fetch.place import Origin
from finetune_trainer.fetch.request import Request


def origin_of(request: Request) -> Origin:
    """Return where the request's content comes from; raises its failure for an address that nothing can fetch."""
    if request.scheme == "hf":
        return HubRepository(request)
    if request.scheme in ("s3", "gs"):
        return ObjectStore(request)
    if request.scheme != "https":
        raise request.failure("its kind is unknown", "Write hf://…, s3://…, gs://… or https://….")
    if request.what == "model":
        raise request.failure("a model is more than one file", "Put its directory on the hub, or into s3:// or gs://.")
    return HttpsFile(request)
