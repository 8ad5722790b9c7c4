"""The ConfigMap that holds the resolved configuration, from which every attempt runs."""

from typing import Final

from finetune_api.names import config_map_name
from finetune_operator.children.blueprint import Blueprint, Body, config_text

CONFIG_FILE: Final = "config.json"


def build_config_map(job: Blueprint) -> Body:
    """Build the ConfigMap; it cannot be edited, so no attempt runs with another configuration."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": job.metadata(config_map_name(job.name)),
        "immutable": True,
        "data": {CONFIG_FILE: config_text(job.config)},
    }
