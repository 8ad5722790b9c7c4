"""Counts the records of a Parquet file, whose rows have numbers but no lines."""

from pathlib import Path

from finetune_api.errors import DatasetInvalid


def parquet_rows(path: Path, name: str) -> int:
    """Return how many records the file holds; raise DatasetInvalid when it is not a Parquet file."""
    import pyarrow
    import pyarrow.parquet

    try:
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    except pyarrow.ArrowInvalid as error:
        raise DatasetInvalid(
            f"{name}: not a Parquet file ({str(error).splitlines()[0]}).",
            hint="Write it again, or read it with the format it has (hf_name: json or csv).",
        ) from None
