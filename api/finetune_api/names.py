"""Names of a job's children, and the labels by which they are found again."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from finetune_api.job import GROUP

JOB_NAME_LABEL: Final = f"{GROUP}/job-name"
JOB_UID_LABEL: Final = f"{GROUP}/job-uid"
ROLE_LABEL: Final = f"{GROUP}/role"
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
RANK_LABEL: Final = f"{GROUP}/rank"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

MANAGER: Final = f"{GROUP}/finetune-operator"
"""What `spec.managedBy` says when a job is this operator's; unset says the same."""

MANAGER_LABEL_VALUE: Final = "finetune-operator"

TRAINER_ROLE: Final = "trainer"
PREPARE_ROLE: Final = "prepare"


class PodPlace(NamedTuple):
    """Which pod of a job this is."""

    attempt: int
    rank: int


def service_name(job: str) -> str:
    """Return the name of the headless Service, which is the subdomain of the job's pods."""
    return job


def network_policy_name(job: str) -> str:
    """Return the name of the NetworkPolicy."""
    return job


def config_map_name(job: str) -> str:
    """Return the name of the ConfigMap that holds the resolved configuration."""
    return f"{job}-config"


def output_claim_name(job: str) -> str:
    """Return the name of the claim made from `output.volumeClaimTemplate`."""
    return f"{job}-output"


def pod_group_name(job: str, attempt: int) -> str:
    """Return the name of the group in which the pods of `attempt` are placed together."""
    return f"{job}-{attempt}"


def prepare_pod_name(job: str) -> str:
    """Return the name of the pod that prepares the dataset."""
    return f"{job}-prepare"


def training_pod_name(job: str, attempt: int, rank: int) -> str:
    """Return the name, and host name, of the pod of node `rank` in `attempt`; both count from 0."""
    return f"{job}-{attempt}-{rank}"


def master_address(job: str, attempt: int) -> str:
    """Return the host name at which the pods of `attempt` meet: rank 0's, within the job's namespace."""
    return f"{training_pod_name(job, attempt, 0)}.{service_name(job)}"


def peer_addresses(job: str, attempt: int) -> str:
    """Return the host names of all pods of `attempt` at once: `{rank}` in it stands for the rank."""
    return f"{job}-{attempt}-{{rank}}.{service_name(job)}"


def job_labels(job: str, uid: str) -> dict[str, str]:
    """Return the labels of every child of a job."""
    return {JOB_NAME_LABEL: job, JOB_UID_LABEL: uid, MANAGED_BY_LABEL: MANAGER_LABEL_VALUE}


def prepare_pod_labels(job: str, uid: str) -> dict[str, str]:
    """Return the labels of the pod that prepares the dataset."""
    return {**job_labels(job, uid), ROLE_LABEL: PREPARE_ROLE}


def training_pod_labels(job: str, uid: str, attempt: int, rank: int) -> dict[str, str]:
    """Return the labels of the pod of node `rank` in `attempt`."""
    own = {ROLE_LABEL: TRAINER_ROLE, ATTEMPT_LABEL: str(attempt), RANK_LABEL: str(rank)}
    return {**job_labels(job, uid), **own}


def place_of(labels: Mapping[str, str]) -> PodPlace | None:
    """Return which training pod carries `labels`, or None when they are not those of a training pod."""
    attempt, rank = labels.get(ATTEMPT_LABEL, ""), labels.get(RANK_LABEL, "")
    if labels.get(ROLE_LABEL) != TRAINER_ROLE or not _counts(attempt) or not _counts(rank):
        return None
    return PodPlace(int(attempt), int(rank))


def _counts(text: str) -> bool:
    return text.isascii() and text.isdigit()
