"""Every manifest in the documentation is one that the operator would accept."""

from typing import Any

import pytest
import yaml

from finetune_api.config import check_world, parse_training_config
from finetune_api.job import KIND, load_job
from finetune_operator.children.blueprint import processes_per_node
from support.configs import manifest, training
from support.doc_blocks import PAGES, Block, blocks
from support.shell import ROOT


def _documents() -> list[tuple[str, Any]]:
    found = [(page, block) for page in PAGES for block in blocks(page) if block.language == "yaml"]
    return [(f"{page.relative_to(ROOT)}: {block.word}", document) for page, block in found for document in _read(block)]


def _read(block: Block) -> list[Any]:
    return list(yaml.safe_load_all(block.text))


def _is_job(document: Any) -> bool:
    return isinstance(document, dict) and document.get("kind") == KIND


JOBS = [(where, document) for where, document in _documents() if _is_job(document)]
FRAGMENTS = [
    (where, document) for where, document in _documents() if isinstance(document, dict) and set(document) == {"spec"}
]


def test_there_are_manifests_and_fragments_of_manifests() -> None:
    assert len(JOBS) >= 3
    assert len(FRAGMENTS) >= 3


@pytest.mark.parametrize(("where", "document"), JOBS, ids=[where for where, _ in JOBS])
def test_a_job_on_a_page_is_accepted_with_its_configuration(where: str, document: Any) -> None:
    job = load_job(document)
    loaded = parse_training_config(job.spec.config)
    check_world(loaded.config, job.spec.nodes * processes_per_node(job.spec))
    assert loaded.ignored == ()


@pytest.mark.parametrize(("where", "fragment"), FRAGMENTS, ids=[where for where, _ in FRAGMENTS])
def test_a_part_of_a_spec_on_a_page_is_accepted_in_an_otherwise_minimal_job(where: str, fragment: Any) -> None:
    load_job(manifest(training(), **fragment["spec"]))
