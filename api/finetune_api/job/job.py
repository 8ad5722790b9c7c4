"""`FinetuneJob`: the object a user writes."""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from finetune_api.job.cel import BY_NAME
from finetune_api.job.part import Count, Name, Part, RawObject, Reference
from finetune_api.job.pods import Networking, PodTemplate
from finetune_api.job.policies import Elastic, Prepare, Resources, RunPolicy, Scheduling
from finetune_api.job.volumes import Code, DatasetInput, ModelInput, Output

GROUP: Final = "finetune.dev"
VERSION: Final = "v1alpha1"
KIND: Final = "FinetuneJob"
NAME_LENGTH: Final = 52
"""Leaves room in a host name of 63 characters for `-ATTEMPT-RANK`, five and four digits."""


class Metadata(Part):
    """The parts of a Kubernetes object's metadata that a job's author writes; others are kept."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=253, description="Name of the job; its pods begin with it.")
    namespace: Name | None = Field(default=None, description="Namespace of the job and all it refers to.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations.")


class FinetuneJobSpec(Part):
    """What to train, on what data, where, and how failures are treated."""

    config: dict[str, Any] = Field(
        min_length=1, description="The training configuration, with the keys of an LLM Foundry file."
    )
    model: ModelInput | None = Field(
        default=None, description="The model's files; unset: fetched by the name in config."
    )
    dataset: DatasetInput | None = Field(
        default=None, description="The data files; unset: config names a dataset of the hub."
    )
    code: Code | None = Field(default=None, description="Python modules for preprocessing_fn.")
    output: Output = Field(description="Where the results go.")
    image: str | None = Field(
        default=None, min_length=1, max_length=1024, description="Trainer image; unset: the operator's."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="When the image is pulled; unset: Kubernetes' own rule."
    )
    image_pull_secrets: Annotated[list[Reference], Field(max_length=16), BY_NAME] = Field(
        default_factory=list, description="Secrets for pulling the image."
    )
    service_account_name: Name | None = Field(
        default=None,
        description="Service account of the pods, without its token; only one that the operator allows; "
        "unset: the namespace's default one.",
    )
    nodes: Count = Field(default=1, description="Pods that train together, one per node.")
    elastic: Elastic | None = Field(default=None, description="Unset: exactly `nodes`.")
    processes_per_node: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="Ranks per node; unset: one per GPU, or one without GPUs."
    )
    resources: Resources = Field(default_factory=Resources, description="Resources of one node.")
    prepare: Prepare = Field(default_factory=Prepare, description="How the dataset is prepared.")
    run_policy: RunPolicy = Field(default_factory=RunPolicy, description="Restarts, deadlines, clean-up.")
    scheduling: Scheduling = Field(default_factory=Scheduling, description="Where pods run.")
    pod_template: PodTemplate = Field(default_factory=PodTemplate, description="Additions to pods.")
    networking: Networking = Field(default_factory=Networking, description="Network between nodes.")
    managed_by: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Controller of this job; unset: this operator, which leaves others' jobs alone.",
    )


class FinetuneJob(Part):
    """One fine-tuning run on a cluster, or on this machine."""

    api_version: Literal["finetune.dev/v1alpha1"] = Field(description="Group and version.")
    kind: Literal["FinetuneJob"] = Field(description="Kind of the object.")
    metadata: Metadata = Field(description="Name, namespace, labels.")
    spec: FinetuneJobSpec = Field(description="What the user wants.")
    status: RawObject | None = Field(default=None, description="What the operator reports.")
