"""Writes YAML for people: keys in their order, texts of several lines as blocks."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes every value where it is used, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat a value rather than refer to it."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written(value: Any) -> str:
    """Return a value as one YAML document."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
