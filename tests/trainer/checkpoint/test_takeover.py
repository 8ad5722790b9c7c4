"""How an attempt takes an output over, and what it does about damage."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_api.errors import ConfigInvalid, Retryable, Superseded
from finetune_trainer.checkpoint.claims import Claim, claim, read_claims
from finetune_trainer.checkpoint.manifest import Identity, Manifest, checkpoint_name, checksum
from finetune_trainer.checkpoint.takeover import StartingPoint, Takeover, claim_output, explicit_checkpoint
from support.training import ALONE

Damage = Callable[[Path], None]


class Output:
    """An output directory with checkpoints whose content is a few bytes."""

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path / "checkpoints"
        self.warnings: list[str] = []

    def take_over(self, attempt: int, uid: str = "job", resume_from: str | None = None) -> StartingPoint:
        what = Takeover(self.path, self.folder, attempt, uid, resume_from, self.warnings.append)
        return claim_output(what, ALONE)[1]

    def save(self, step: int, attempt: int, uid: str = "job") -> Path:
        directory = self.folder / checkpoint_name(step, attempt)
        directory.mkdir(parents=True)
        for name in (".metadata", "__0_0.distcp"):
            (directory / name).write_bytes(name.encode() * 40)
        files = {path.name: checksum(path) for path in directory.iterdir()}
        identity = Identity("model", "dataset", {})
        Manifest(step, step, attempt, uid, 1, None, "", identity, False, {}, files).write(directory)
        return directory

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path)


def cut_tensors(directory: Path) -> None:
    with (directory / "__0_0.distcp").open("r+b") as file:
        file.truncate(10)


def spoil_index(directory: Path) -> None:
    content = bytearray((directory / ".metadata").read_bytes())
    content[5] ^= 1
    (directory / ".metadata").write_bytes(content)


def cut_manifest(directory: Path) -> None:
    with (directory / "manifest.json").open("r+b") as file:
        file.truncate(50)


def change_manifest(directory: Path) -> None:
    file = directory / "manifest.json"
    file.write_text(file.read_text().replace('"step": 9', '"step": 8'))


def lose_tensors(directory: Path) -> None:
    (directory / "__0_0.distcp").unlink()


def newer_version(directory: Path) -> None:
    fields = json.loads((directory / "manifest.json").read_text()) | {"format": 2}
    del fields["sha256"]
    seal = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    (directory / "manifest.json").write_text(json.dumps({**fields, "sha256": seal}))


DAMAGES: dict[Damage, str] = {
    cut_tensors: "__0_0.distcp has 10 bytes instead of",
    spoil_index: ".metadata is not what was written",
    lose_tensors: "__0_0.distcp is missing",
    cut_manifest: "manifest.json is damaged",
    change_manifest: "manifest.json is damaged",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_set_aside_and_gives_way_to_the_one_before(
    damage: Damage, output: Output
) -> None:
    output.take_over(0)
    output.save(6, 0)
    damage(output.save(9, 0))
    assert output.take_over(1).step == 6
    assert read_claims(output.path)[0] == Claim(1, "job", checkpoint_name(6, 0))
    assert output.names() == ["damaged-" + checkpoint_name(9, 0), checkpoint_name(6, 0)]
    found, fallback = output.warnings
    assert DAMAGES[damage] in found
    assert checkpoint_name(9, 0) in found
    assert fallback == (
        "the damaged checkpoint of step 9 cannot be resumed from; the run falls back to step 6, which is intact"
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_never_trusted_again_not_even_when_it_is_the_base_of_a_claim(
    damage: Damage, output: Output
) -> None:
    output.take_over(0)
    output.save(3, 0)
    base = output.save(9, 0)
    output.take_over(1)
    damage(base)
    assert output.take_over(2).step == 3
    assert output.take_over(3).step == 3
    assert output.warnings[2:] == []


def test_several_in_a_row_may_be_damaged_and_only_the_last_two_are_kept(output: Output) -> None:
    output.take_over(0)
    for step in (1, 2, 3, 4):
        output.save(step, 0)
    for step in (2, 3, 4):
        cut_tensors(output.folder / checkpoint_name(step, 0))
    assert output.take_over(1).step == 1
    kept = ["damaged-" + checkpoint_name(step, 0) for step in (3, 4)]
    assert output.names() == [*kept, checkpoint_name(1, 0)]
    assert any("is deleted" in warning for warning in output.warnings)


def test_where_none_is_intact_all_of_them_are_kept(output: Output) -> None:
    output.take_over(0)
    for step in (1, 2, 3, 4):
        cut_tensors(output.save(step, 0))
    assert output.take_over(1) == StartingPoint(None, None)
    assert output.names() == ["damaged-" + checkpoint_name(step, 0) for step in (1, 2, 3, 4)]
    output.save(1, 1)
    assert output.take_over(2).step == 1
    assert len(output.names()) == 3


def test_the_checkpoints_of_another_version_stay_where_they_are_and_nothing_is_claimed(output: Output) -> None:
    output.take_over(0)
    for step in (1, 2, 3, 4):
        newer_version(output.save(step, 0))
    with pytest.raises(ConfigInvalid, match="written by another version"):
        output.take_over(1)
    assert output.names() == [checkpoint_name(step, 0) for step in (1, 2, 3, 4)]
    assert len(read_claims(output.path)) == 1


@pytest.mark.parametrize("evidence", ["base", "checkpoints"])
def test_a_job_that_continues_another_in_another_save_folder_is_refused(evidence: str, output: Output) -> None:
    if evidence == "base":
        output.folder = output.path / "old"
    output.take_over(0, "old")
    output.save(5, 0, "old")
    output.take_over(1, "old")
    output.folder = output.path / "elsewhere"
    with pytest.raises(ConfigInvalid, match=r"save_folder: .*elsewhere holds no checkpoint of job old"):
        output.take_over(0, "new", "old")
    assert [held.uid for held in read_claims(output.path)] == ["old", "old"]


def test_a_job_that_continues_one_without_checkpoints_is_warned_once_that_it_begins(output: Output) -> None:
    output.take_over(0, "old")
    assert output.take_over(0, "new", "old").step == 0
    assert len(output.warnings) == 1
    assert "holds no checkpoint of job old, so training begins at step 0" in output.warnings[0]
    output.take_over(1, "new", "old")
    assert len(output.warnings) == 1


def test_a_job_that_continues_one_whose_checkpoints_are_all_damaged_is_not_refused(output: Output) -> None:
    output.take_over(0, "old")
    base = output.save(5, 0, "old")
    output.take_over(1, "old")
    cut_manifest(base)
    assert output.take_over(0, "new", "old").step == 0
    assert output.warnings[-1].endswith("no older one is intact")


def test_when_none_is_left_the_run_begins_again_and_says_so(output: Output) -> None:
    output.take_over(0)
    cut_tensors(output.save(9, 0))
    assert output.take_over(1) == StartingPoint(None, None)
    assert read_claims(output.path)[0].base is None
    assert output.warnings[-1].endswith("the run falls back to the beginning: no older one is intact")


def test_the_checkpoints_of_a_job_that_is_continued_are_fallen_back_to(output: Output) -> None:
    output.take_over(0, "old")
    output.save(5, 0, "old")
    output.take_over(0, "new", "old")
    cut_tensors(output.save(7, 1, "new"))
    assert output.take_over(1, "new").step == 5


def test_a_disk_that_cannot_be_read_now_sets_nothing_aside(output: Output) -> None:
    output.take_over(0)
    directory = output.save(9, 0)
    (directory / "__0_0.distcp").unlink()
    (directory / "__0_0.distcp").symlink_to("__0_0.distcp")  # an error that is neither "missing" nor "wrong"
    with pytest.raises(Retryable, match="could not be read"):
        output.take_over(1)
    assert output.names() == [checkpoint_name(9, 0)]
    lose_tensors(directory)
    (directory / "__0_0.distcp").write_bytes(b"__0_0.distcp" * 40)
    assert output.take_over(2).step == 9


def test_a_claim_is_not_decided_before_its_base_has_been_read(output: Output) -> None:
    output.take_over(0)
    output.save(6, 0)
    seen: list[Claim] = []
    what = Takeover(output.path, output.folder, 1, "job", None, lambda text: seen.append(read_claims(output.path)[0]))
    cut_tensors(output.save(9, 0))
    claim_output(what, ALONE)
    assert seen == [Claim(1, "job", None, decided=False), Claim(1, "job", checkpoint_name(6, 0))]


def test_drafts_and_unfinished_saves_of_older_attempts_are_swept_up(output: Output) -> None:
    output.take_over(0)
    (output.folder / checkpoint_name(2, 0)).mkdir(parents=True)
    (output.path / ".run.json.attempt-0000.draft").write_text("{}")
    (output.path / ".model.attempt-0000.draft").mkdir()
    (output.path / "huggingface" / ".ba1.attempt-0000.draft").mkdir(parents=True)
    (output.path / ".run.json.attempt-0002.draft").write_text("a newer one's")
    output.take_over(1)
    assert sorted(path.name for path in output.path.iterdir()) == [
        ".run.json.attempt-0002.draft",
        "attempts",
        "checkpoints",
        "huggingface",
    ]
    assert output.names() == []
    assert list((output.path / "huggingface").iterdir()) == []


def test_an_attempt_that_was_overtaken_while_it_read_sets_nothing_aside(output: Output) -> None:
    output.take_over(0)
    output.save(6, 0)
    output.save(8, 0)
    for directory in output.folder.iterdir():
        cut_tensors(directory)

    def overtake(text: str) -> None:
        claim(output.path, Claim(5, "job", None))

    with pytest.raises(Superseded, match="attempt 5 has taken over"):
        claim_output(Takeover(output.path, output.folder, 1, "job", None, overtake), ALONE)
    assert checkpoint_name(6, 0) in output.names()


def test_checkpoints_of_another_job_in_the_same_folder_are_refused(output: Output) -> None:
    output.save(1, 0, "stranger")
    with pytest.raises(ConfigInvalid, match=r"checkpoint of another job \(uid stranger\)"):
        output.take_over(0)
    assert read_claims(output.path) == []


def test_load_path_takes_the_newest_of_several_but_never_passes_over_a_damaged_one(output: Output) -> None:
    output.save(3, 0)
    newest = output.save(9, 0)
    assert explicit_checkpoint(output.path).step == 9
    cut_manifest(newest)
    for path in (output.path, output.folder, newest):
        with pytest.raises(ConfigInvalid, match="is damaged"):
            explicit_checkpoint(path)
    shutil.rmtree(newest)
    assert explicit_checkpoint(output.path).step == 3


def test_a_claim_that_cannot_be_read_is_told_with_its_file(output: Output) -> None:
    output.take_over(0)
    (output.path / "attempts" / "0.json").write_text(json.dumps({"attempt": 0})[:5])
    with pytest.raises(Retryable, match=r"claim .*attempts/0\.json cannot be read"):
        output.take_over(1)
