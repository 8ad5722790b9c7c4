"""Which checkpoints a reader may trust, and from which of them a new attempt goes on."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_trainer.checkpoint.chain import newest_checkpoint, trusted
from finetune_trainer.checkpoint.claims import Claim, claim, decide, read_claims
from finetune_trainer.checkpoint.manifest import (
    checkpoint_name,
    complete_checkpoints,
    parse_name,
)
from support.manifests import commit


def newest(output: Path) -> str | None:
    found = newest_checkpoint(output, output / "checkpoints")
    return found[0].name if found else None


def begin(output: Path, attempt: int) -> Claim:
    """Claim the output as an attempt does: it goes on from the newest checkpoint of that moment."""
    return claim(output, Claim(attempt, "job", newest(output)))


def test_nothing_is_found_where_nothing_was_saved(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    begin(tmp_path, 0)
    assert newest(tmp_path) is None


def test_the_newest_step_of_the_newest_attempt_is_found(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 9, 0)
    commit(tmp_path, 10, 0)
    assert newest(tmp_path) == checkpoint_name(10, 0)


def test_a_checkpoint_without_a_claim_is_nobodys(tmp_path: Path) -> None:
    commit(tmp_path, 10, 0)
    assert newest(tmp_path) is None


def test_weights_alone_are_nothing_to_go_on_from(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    commit(tmp_path, 6, 0, weights_only=True)
    assert newest(tmp_path) == checkpoint_name(3, 0)


def test_an_attempt_that_saved_nothing_leaves_its_base(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    begin(tmp_path, 1)
    begin(tmp_path, 2)
    assert newest(tmp_path) == checkpoint_name(3, 0)


def test_a_late_commit_of_an_older_attempt_is_on_nobodys_path(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    begin(tmp_path, 1)
    commit(tmp_path, 50, 0)
    assert newest(tmp_path) == checkpoint_name(3, 0)
    commit(tmp_path, 4, 1)
    assert newest(tmp_path) == checkpoint_name(4, 1)


def test_a_late_commit_does_not_become_a_beginning(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    begin(tmp_path, 1)  # from the start, because nothing was saved yet
    commit(tmp_path, 3, 0)
    assert newest(tmp_path) is None


def test_a_base_that_is_gone_leads_to_the_older_checkpoints_of_its_owner(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    lost = commit(tmp_path, 6, 0)
    begin(tmp_path, 1)
    commit(tmp_path, 9, 0)  # late
    (lost / "manifest.json").unlink()
    assert newest(tmp_path) == checkpoint_name(3, 0)


def test_the_same_number_of_another_job_does_not_count(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0, uid="stranger")
    assert newest(tmp_path) is None


@settings(max_examples=150)
@given(moves=st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 4), st.booleans())), max_size=14))
def test_a_new_attempt_continues_what_the_newest_one_had(
    moves: list[tuple[int, bool] | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """None begins an attempt; (k, full) lets the k-th youngest attempt, alive or thought dead, commit its next step."""
    output = tmp_path_factory.mktemp("output")
    begin(output, 0)
    bases: list[str | None] = [None]
    steps = [0]
    own: list[str | None] = [None]  # the newest full checkpoint of each attempt
    for move in moves:
        if move is None:
            bases.append(newest(output))
            steps.append(parse_name(bases[-1])[0] if bases[-1] else 0)
            own.append(None)
            begin(output, len(bases) - 1)
        elif move[0] < len(bases):
            attempt = len(bases) - 1 - move[0]
            steps[attempt] += 1
            made = commit(output, steps[attempt], attempt, weights_only=not move[1])
            own[attempt] = made.name if move[1] else own[attempt]
        assert newest(output) == (own[-1] or bases[-1])


def path(output: Path) -> list[str]:
    found = complete_checkpoints(output / "checkpoints")
    return [directory.name for directory, _ in trusted(found, read_claims(output))]


def test_a_claim_that_is_not_decided_changes_nothing(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    own = claim(tmp_path, Claim(1, "job", None, decided=False))
    assert newest(tmp_path) == checkpoint_name(3, 0)
    decide(tmp_path, own, checkpoint_name(3, 0))
    commit(tmp_path, 6, 0)
    assert newest(tmp_path) == checkpoint_name(3, 0)


def test_what_lies_before_a_base_is_trusted_too_and_what_came_after_it_is_not(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    commit(tmp_path, 6, 0)
    begin(tmp_path, 1)
    commit(tmp_path, 9, 0)  # late
    commit(tmp_path, 8, 1)
    begin(tmp_path, 2)
    commit(tmp_path, 12, 2)
    commit(tmp_path, 10, 1)  # late
    assert path(tmp_path) == [checkpoint_name(*place) for place in ((12, 2), (8, 1), (6, 0), (3, 0))]


def test_weights_alone_are_on_the_path_though_nothing_goes_on_from_them(tmp_path: Path) -> None:
    begin(tmp_path, 0)
    commit(tmp_path, 3, 0)
    commit(tmp_path, 6, 0, weights_only=True)
    assert path(tmp_path) == [checkpoint_name(6, 0), checkpoint_name(3, 0)]
