"""Which checkpoints go when there are more than a run is to keep."""

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.checkpoint.manifest import Identity, Manifest, checkpoint_name
from finetune_trainer.checkpoint.rotation import abandoned, superfluous


def entry(step: int, attempt: int, *, weights_only: bool = False) -> tuple[Path, Manifest]:
    identity = Identity("model", "dataset", {})
    sizes: dict[str, Any] = {"samples": 0, "world_size": 1, "microbatch": None, "loss_scale": {}, "files": {}}
    made = Manifest(
        step=step,
        attempt=attempt,
        uid="job",
        config_sha256="",
        identity=identity,
        weights_only=weights_only,
        **sizes,
    )
    return Path(checkpoint_name(step, attempt)), made


def test_the_newest_stay() -> None:
    found = [entry(step, 0) for step in (3, 1, 2, 4)]
    assert superfluous(found, 2) == [Path(checkpoint_name(2, 0)), Path(checkpoint_name(1, 0))]


def test_all_stay_by_default() -> None:
    assert superfluous([entry(step, 0) for step in range(9)], -1) == []


def test_the_very_newest_stays_even_when_none_is_to_be_kept() -> None:
    assert superfluous([entry(1, 0), entry(2, 0)], 0) == [Path(checkpoint_name(1, 0))]


def test_a_newer_attempt_outranks_a_later_step_of_an_older_one() -> None:
    assert superfluous([entry(50, 0), entry(4, 1)], 1) == [Path(checkpoint_name(50, 0))]


def test_what_a_run_can_be_resumed_from_is_not_given_up_for_weights_alone() -> None:
    found = [entry(3, 0), entry(6, 0), entry(9, 1, weights_only=True), entry(12, 1, weights_only=True)]
    assert superfluous(found, 1) == [Path(checkpoint_name(9, 1)), Path(checkpoint_name(3, 0))]


@given(
    places=st.sets(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1),
    light=st.sets(st.tuples(st.integers(0, 9), st.integers(0, 3))),
    keep=st.integers(-1, 5),
)
def test_the_newest_and_the_newest_resumable_always_stay(
    places: set[tuple[int, int]], light: set[tuple[int, int]], keep: int
) -> None:
    found = [entry(*place, weights_only=place in light) for place in sorted(places)]
    gone = superfluous(found, keep)
    kept = [(path, made) for path, made in found if path not in gone]
    oldest_first = sorted(found, key=lambda item: (item[1].attempt, item[1].step))
    assert oldest_first[-1] in kept
    assert [item for item in oldest_first if not item[1].weights_only][-1:] == [
        item for item in sorted(kept, key=lambda item: (item[1].attempt, item[1].step)) if not item[1].weights_only
    ][-1:]
    if keep > 0:
        assert min(keep, len(found)) <= len(kept) <= keep + 1


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
