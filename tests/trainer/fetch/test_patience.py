from pathlib import Path

import pytest

from finetune_api.errors import DatasetInvalid, Retryable
from finetune_trainer.fetch.patience import require_room, size_of, with_retries


class Flaky:
    """Fails so many times, then works."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error, self.calls = failures, error, 0

    def __call__(self) -> str:
        self.calls += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return "done"


def test_what_may_pass_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_retries(Flaky(2, Retryable("the network is down")), delays=(0.0, 0.0)) == "done"
    assert "the network is down; trying again in 0 s" in capsys.readouterr().out


def test_it_ends_with_the_last_error() -> None:
    flaky = Flaky(9, Retryable("down"))
    with pytest.raises(Retryable, match="down"):
        with_retries(flaky, delays=(0.0, 0.0))
    assert flaky.calls == 3


def test_what_will_not_pass_is_not_tried_again() -> None:
    flaky = Flaky(9, DatasetInvalid("wrong"))
    with pytest.raises(DatasetInvalid):
        with_retries(flaky, delays=(0.0, 0.0))
    assert flaky.calls == 1


def test_what_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    require_room(tmp_path, 1)
    with pytest.raises(Retryable, match="Make room on the output volume"):
        require_room(tmp_path, 1 << 60)


def test_links_do_not_count_twice(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("blob")
    assert size_of(tmp_path) == 5
