"""Turns records into rows with the user's preprocessing function, column mapping, or none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from finetune_api.errors import DatasetInvalid, PreprocessingFailed, RunError
from finetune_trainer.data.known_datasets import KNOWN_DATASETS
from finetune_trainer.data.rows import Conversation, PromptResponse, ShapeError, shape_row
from finetune_trainer.data.user_code import import_function, user_line, user_traceback

Record = dict[str, Any]


@dataclass(frozen=True)
class Preprocessor:
    """Makes rows of records; `name` is how the user wrote it, None where records are rows already."""

    name: str | None
    function: Callable[[Record], object]

    def row(self, record: Record, place: str) -> PromptResponse | Conversation:
        """Return the row that the record at `place` becomes.

        Raises PreprocessingFailed with the user's own traceback when the function raises or returns something
        else than a row, DatasetInvalid when there is no function and the record is no row.
        """
        returned = self._call(record, place)
        try:
            return shape_row(returned)
        except ShapeError as error:
            raise self._misshapen(str(error), place) from None

    def _call(self, record: Record, place: str) -> object:
        columns = ", ".join(record)
        try:
            return self.function(record)
        except RunError:
            raise
        # A function that calls sys.exit would otherwise end the run without a word about the row.
        except (Exception, SystemExit) as error:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            line = user_line(error)
            raise PreprocessingFailed(
                f"{place}: preprocessing_fn {self.name} raised {what}" + (f" at {line}" if line else ""),
                hint=f"(the record has the columns {columns})",
                user_traceback=user_traceback(error),
            ) from error

    def _misshapen(self, what: str, place: str) -> RunError:
        if self.name is None:
            return DatasetInvalid(
                f"{place}: {what}.", hint="Fix the record, or set preprocessing_fn to make rows of records."
            )
        return PreprocessingFailed(f"{place}: preprocessing_fn {self.name} returned a wrong row: {what}.")


def find_preprocessor(spec: str | Mapping[str, str] | None, hf_name: str, code_dir: Path | None) -> Preprocessor:
    """Return what `preprocessing_fn` stands for; raise PreprocessingFailed when the function is missing."""
    if isinstance(spec, str):
        return Preprocessor(spec, import_function(spec, code_dir))
    if spec is not None:
        return _column_mapping(spec)
    if hf_name in KNOWN_DATASETS:
        return Preprocessor(f"for {hf_name}", KNOWN_DATASETS[hf_name])
    return Preprocessor(None, lambda record: record)


def _column_mapping(mapping: Mapping[str, str]) -> Preprocessor:
    name = "{" + ", ".join(f"{part}: {column}" for part, column in mapping.items()) + "}"

    def pick(record: Record) -> Record:
        for column in mapping.values():
            if column not in record:
                close = get_close_matches(column, list(record), 1)
                raise PreprocessingFailed(
                    f"preprocessing_fn {name}: the dataset has no column {column!r}.",
                    hint=f"Did you mean {close[0]}?" if close else f"Its columns are {', '.join(record)}.",
                )
        return {part: record[column] for part, column in mapping.items()}

    return Preprocessor(name, pick)
