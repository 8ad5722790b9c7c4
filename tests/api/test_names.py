import pytest

from finetune_api import names
from finetune_api.job import NAME_LENGTH
from finetune_api.names import PodPlace, place_of, prepare_pod_labels, training_pod_labels

LONGEST = "a" * NAME_LENGTH


def test_children_are_named_after_their_job() -> None:
    assert names.service_name("arc") == names.network_policy_name("arc") == "arc"
    assert names.config_map_name("arc") == "arc-config"
    assert names.output_claim_name("arc") == "arc-output"
    assert names.prepare_pod_name("arc") == "arc-prepare"
    assert names.training_pod_name("arc", 2, 7) == "arc-2-7"


def test_pods_meet_at_rank_zero_of_their_attempt() -> None:
    assert names.master_address("arc", 3) == "arc-3-0.arc"


def test_the_longest_name_leaves_room_in_a_host_name() -> None:
    pods = (names.training_pod_name(LONGEST, 99999, 9999), names.prepare_pod_name(LONGEST))
    assert all(len(name) <= 63 for name in pods)


def test_labels_tell_the_place_of_a_pod() -> None:
    labels = training_pod_labels("arc", "uid", 2, 7)
    assert place_of({**labels, "other": "label"}) == PodPlace(attempt=2, rank=7)
    assert labels[names.JOB_NAME_LABEL] == "arc"
    assert labels[names.JOB_UID_LABEL] == "uid"


@pytest.mark.parametrize(
    "labels",
    [
        {},
        prepare_pod_labels("arc", "uid"),
        {**training_pod_labels("arc", "uid", 0, 0), names.RANK_LABEL: "x"},
        {**training_pod_labels("arc", "uid", 0, 0), names.ATTEMPT_LABEL: "-1"},
        {**training_pod_labels("arc", "uid", 0, 0), names.ATTEMPT_LABEL: "²"},
    ],
)
def test_other_labels_tell_no_place(labels: dict[str, str]) -> None:
    assert place_of(labels) is None


def test_labels_are_values_that_kubernetes_takes() -> None:
    labels = training_pod_labels(LONGEST, "0" * 36, 0, 0)
    assert all(len(value) <= 63 and "/" not in value for value in labels.values())
