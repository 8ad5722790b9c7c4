"""Which checkpoints go when there are more than a run is to keep."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.checkpoint.chain import Checkpoint
from finetune_trainer.checkpoint.manifest import Identity, Manifest, checkpoint_name
from finetune_trainer.checkpoint.rotation import abandoned, set_aside, superfluous


def entry(step: int, attempt: int, *, weights_only: bool = False, size: int = 1) -> Checkpoint:
    identity = Identity("model", "dataset", {})
    plain: dict[str, Any] = {"samples": 0, "world_size": 1, "microbatch": None, "loss_scale": {}}
    made = Manifest(
        step=step,
        attempt=attempt,
        uid="job",
        config_sha256="",
        identity=identity,
        weights_only=weights_only,
        files={"__0_0.distcp": {"bytes": size, "sha256": ""}},
        **plain,
    )
    return Path(checkpoint_name(step, attempt)), made


def names(*places: tuple[int, int]) -> list[Path]:
    return [Path(checkpoint_name(*place)) for place in places]


def gone(best_first: list[Checkpoint], keep: int = -1, others: Sequence[Checkpoint] = (), **bounds: Any) -> list[Path]:
    return superfluous([*best_first, *others], best_first, keep=keep, **bounds)


def test_the_best_stay() -> None:
    assert gone([entry(step, 0) for step in (4, 3, 2, 1)], 2) == names((2, 0), (1, 0))


def test_all_stay_by_default() -> None:
    assert gone([entry(step, 0) for step in range(9, 0, -1)], -1) == []


def test_the_very_best_stays_even_when_none_is_to_be_kept() -> None:
    assert gone([entry(2, 0), entry(1, 0)], 0) == names((1, 0))


def test_what_is_on_nobodys_path_goes_first_however_new_it_is() -> None:
    assert gone([entry(4, 1), entry(3, 0)], 2, others=[entry(50, 0)]) == names((50, 0))


def test_what_a_run_can_be_resumed_from_is_not_given_up_for_weights_alone() -> None:
    light = [entry(12, 1, weights_only=True), entry(9, 1, weights_only=True)]
    found = [*light, entry(3, 0)]
    assert gone(found, 1, others=[entry(6, 0)]) == names((9, 1), (6, 0))


def test_the_oldest_go_until_the_rest_fit_in_the_budget() -> None:
    found = [entry(step, 0, size=10) for step in (4, 3, 2, 1)]
    assert gone(found, most_bytes=40) == []
    assert gone(found, most_bytes=39) == names((1, 0))
    assert gone(found, most_bytes=20) == names((2, 0), (1, 0))
    assert gone(found, 3, most_bytes=20) == names((2, 0), (1, 0))


def test_the_best_stays_even_when_it_alone_is_larger_than_the_budget() -> None:
    assert gone([entry(2, 0, size=10), entry(1, 0, size=10)], most_bytes=5) == names((1, 0))


@given(
    chain=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=8),
    others=st.integers(0, 3),
    keep=st.integers(-1, 5),
    most_bytes=st.one_of(st.none(), st.integers(1, 60)),
)
def test_the_best_and_the_best_resumable_always_stay_and_the_rest_is_within_bounds(
    chain: list[tuple[bool, int]], others: int, keep: int, most_bytes: int | None
) -> None:
    best_first = [entry(50 - index, 1, weights_only=light, size=size) for index, (light, size) in enumerate(chain)]
    found = [*best_first, *(entry(step, 0, size=3) for step in range(others))]
    lost = superfluous(found, best_first, keep=keep, most_bytes=most_bytes)
    kept = [item for item in found if item[0] not in lost]
    resumable = [item for item in best_first if not item[1].weights_only]
    assert best_first[0] in kept
    assert resumable[:1] == [item for item in kept if item in resumable][:1]
    if keep >= 0:
        assert len(kept) <= max(1, keep) + 1
    if most_bytes is not None and len(kept) > 2:
        assert sum(item[1].size for item in kept) <= most_bytes
    if most_bytes is None and keep < 0:
        assert lost == []


def test_damaged_ones_are_listed_oldest_first(tmp_path: Path) -> None:
    for name in (
        checkpoint_name(9, 0),
        "damaged-" + checkpoint_name(4, 1),
        "damaged-" + checkpoint_name(7, 0),
        "damaged-x",
    ):
        (tmp_path / name).mkdir()
    assert [path.name for path in set_aside(tmp_path)] == [
        "damaged-" + checkpoint_name(7, 0),
        "damaged-" + checkpoint_name(4, 1),
    ]


def test_unfinished_saves_of_earlier_attempts_are_found(tmp_path: Path) -> None:
    for step, attempt, complete in ((1, 0, True), (2, 0, False), (3, 1, False), (4, 2, False)):
        directory = tmp_path / checkpoint_name(step, attempt)
        directory.mkdir()
        if complete:
            (directory / "manifest.json").write_text("{}")
    assert sorted(path.name for path in abandoned(tmp_path, 2)) == [checkpoint_name(2, 0), checkpoint_name(3, 1)]


def test_what_somebody_else_keeps_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    for name in ("step-by-step", "step-1-old", "notes"):
        (tmp_path / name).mkdir()
    assert abandoned(tmp_path, 9) == []
    assert abandoned(tmp_path / "missing", 9) == []
