import pytest

from finetune_api.errors import DatasetInvalid, ModelUnavailable
from finetune_trainer.fetch.request import Request


@pytest.mark.parametrize(
    ("what", "text", "uri", "revision"),
    [
        ("dataset", "hf://me/rows@v1", "hf://me/rows", "v1"),
        ("dataset", "hf://me/rows", "hf://me/rows", None),
        ("hub-model", "me/tiny@refs/pr/1", "me/tiny", "refs/pr/1"),
        ("hub-model", "gpt2", "gpt2", None),
        ("dataset", "s3://bucket/a@b", "s3://bucket/a@b", None),
        ("dataset", "https://me:pass@host/a@b", "https://me:pass@host/a@b", None),
    ],
)
def test_only_the_hub_has_revisions(what: str, text: str, uri: str, revision: str | None) -> None:
    assert Request.parse(what, text) == Request(what, uri, revision)  # type: ignore[arg-type]


def test_what_may_be_a_secret_is_never_shown() -> None:
    request = Request("dataset", "https://me:pass@host/rows.jsonl?X-Amz-Signature=abc#part")
    assert request.shown == "https://host/rows.jsonl"
    assert "pass" not in request.identity


def test_errors_are_of_the_kind_of_what_was_asked_for() -> None:
    assert isinstance(Request("dataset", "s3://b/k").missing(), DatasetInvalid)
    assert isinstance(Request("hub-dataset", "me/rows").missing(), DatasetInvalid)
    assert isinstance(Request("hub-tokenizer", "me/tiny").missing(), ModelUnavailable)
    assert "spec.dataset.source.secretRef" in str(Request("hub-dataset", "me/rows").denied("401"))
