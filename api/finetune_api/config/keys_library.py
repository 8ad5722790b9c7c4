"""Keys that libraries take where the file passes a mapping on, so that a slip in one of them is noticed."""

from typing import Final

_LOAD_DATASET: Final = (
    # datasets.load_dataset itself
    "name data_dir data_files cache_dir features download_config download_mode verification_mode "
    "keep_in_memory save_infos revision token num_proc storage_options trust_remote_code streaming split "
    # its json, csv and parquet readers
    "field encoding encoding_errors chunksize newlines_in_values use_threads block_size "
    "sep delimiter header names column_names index_col usecols engine true_values false_values "
    "skipinitialspace skiprows nrows na_values keep_default_na na_filter skip_blank_lines thousands decimal "
    "lineterminator quotechar quoting escapechar comment dialect doublequote skipfooter on_bad_lines "
    "date_format batch_size columns filters fragment_scan_options on_bad_files"
)

_TOKENIZER: Final = (
    "model_max_length padding_side truncation_side use_fast legacy revision subfolder token use_auth_token "
    "trust_remote_code cache_dir local_files_only add_bos_token add_eos_token add_prefix_space bos_token "
    "eos_token pad_token unk_token cls_token sep_token mask_token additional_special_tokens chat_template "
    "clean_up_tokenization_spaces from_slow vocab_file merges_file tokenizer_file"
)

LOAD_DATASET_KEYS: Final = frozenset(_LOAD_DATASET.split())
TOKENIZER_KEYS: Final = frozenset(_TOKENIZER.split())
