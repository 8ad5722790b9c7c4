"""The keys of `spec.config` as `kubectl explain` shows them: described, and otherwise free.

Real files carry `${max_seq_len}` where an integer belongs, `1ep` or 1, and nulls with a meaning. So the API server
is told no type, no bound and no default: the operator checks the configuration with the models of the command line.
"""

from collections.abc import Sequence
from typing import Any, Final

from finetune_api.config.describe import default_words, value_words
from finetune_api.config.section import Section, child_sections, fields_by_key, names_of

_FREE: Final[dict[str, Any]] = {"nullable": True, "x-kubernetes-preserve-unknown-fields": True}


def config_keys(*sections: type[Section]) -> dict[str, Any]:
    """Return a schema for each key of `sections`, which are the forms that one mapping may take."""
    keys = dict.fromkeys(key for section in sections for key in fields_by_key(section))
    return {key: _key_schema([section for section in sections if key in fields_by_key(section)], key) for key in keys}


def _key_schema(sections: Sequence[type[Section]], key: str) -> dict[str, Any]:
    children = dict.fromkeys(child for section in sections for child in child_sections(section).get(key, ()))
    inner = {"properties": keys} if (keys := config_keys(*children)) else {}
    return {"description": _description(sections, key), **inner, **_FREE}


def _description(sections: Sequence[type[Section]], key: str) -> str:
    """Return what `key` means, for each form of the mapping where they differ."""
    if key == "name" and len(sections) > 1:
        names = " or ".join(f"`{name}`" for section in sections for name in names_of(section))
        return f"{fields_by_key(sections[0])[key].description} ({names}; required)"
    texts: dict[str, list[str]] = {}
    for section in sections:
        texts.setdefault(_text(section, key), []).extend(names_of(section))
    if len(texts) == 1:
        return next(iter(texts))
    return " ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())


def _text(section: type[Section], key: str) -> str:
    field = fields_by_key(section)[key]
    words = {"none": "", "required": "; required", "as described": ""}
    default = default_words(field)
    return f"{field.description} ({value_words(field)}{words.get(default, f'; default {default}')})"
