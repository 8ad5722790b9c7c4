"""The records of a source as encoded rows, in order, a batch in memory at a time."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.assembly import DropReason, Example
from finetune_trainer.data.chat import TemplateError, TurnText
from finetune_trainer.data.encoder import Encoder
from finetune_trainer.data.origins import Origin
from finetune_trainer.data.preprocessing import Preprocessor, Record
from finetune_trainer.data.rows import PromptResponse
from finetune_trainer.data.source import Source

_BATCH = 1000


class EncodedRow(NamedTuple):
    """What became of one record."""

    source_row: int
    """0-based index in the source split."""
    origin: Origin
    example: Example | DropReason
    full_length: int
    """Tokens before the cut to `max_seq_len`, without an added EOS."""


def encoded_rows(
    source: Source,
    preprocessor: Preprocessor,
    encoder: Encoder,
    on_record: Callable[[], None] = lambda: None,
) -> Iterator[EncodedRow]:
    """Preprocess and encode every record; `on_record` is called after each is preprocessed.

    Raises PreprocessingFailed or DatasetInvalid naming the record's place.
    """
    row = 0
    for records in source.batches(_BATCH):
        shaped = []
        for i, record in enumerate(records):
            shaped.append(_shaped(record, source.origins.describe(row + i), preprocessor, encoder))
            on_record()
        for i, (example, full_length) in enumerate(encoder.encode(shaped)):
            yield EncodedRow(row + i, source.origins[row + i], example, full_length)
        row += len(records)


def _shaped(
    record: Record, place: str, preprocessor: Preprocessor, encoder: Encoder
) -> PromptResponse | list[TurnText]:
    shaped = preprocessor.row(record, place)
    if isinstance(shaped, PromptResponse):
        return shaped
    try:
        return encoder.turns(shaped)
    except TemplateError as error:
        raise DatasetInvalid(
            f"{place}: {error}",
            hint="Change the messages, or give another template in tokenizer.kwargs.chat_template.",
        ) from None
