import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.container import leave_last_words, share_files_with_group


@pytest.fixture
def _mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_mask")
def test_files_can_be_changed_by_the_group(tmp_path: Path) -> None:
    share_files_with_group()
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    assert (tmp_path / "directory").stat().st_mode & 0o777 == 0o775
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o664


def test_facts_stand_beside_the_message_and_all_of_it_fits() -> None:
    message = TerminationMessage(outcome=Outcome.SUCCEEDED, message="é" * 9000)
    text = message.to_json({"dataset": {"rows": 2**53}})
    assert len(text.encode()) <= 4096
    assert json.loads(text)["dataset"] == {"rows": 2**53}
    parsed = TerminationMessage.parse(text)
    assert parsed is not None
    assert parsed.message.startswith("éé")


def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    leave_last_words(tmp_path / "nowhere/log", TerminationMessage(outcome=Outcome.SUCCEEDED))
