"""Where a job's dataset, model, code and output live."""

from typing import Annotated, Literal

from pydantic import Field

from finetune_api.job.cel import Shape
from finetune_api.job.part import AbsolutePath, Name, Part, Quantities, Reference, SubPath


class ClaimSource(Part):
    """A PersistentVolumeClaim of the job's namespace."""

    claim_name: Name = Field(description="Name of the claim.")


class Volume(Part):
    """A volume that holds input files; exactly one kind. It is mounted read-only."""

    persistent_volume_claim: ClaimSource | None = Field(default=None, description="A claim.")
    config_map: Reference | None = Field(
        default=None, description="A ConfigMap, for data of at most 1 MiB; each key is a file."
    )


class OutputVolume(Part):
    """The volume that receives what the run leaves."""

    persistent_volume_claim: ClaimSource = Field(description="A claim.")


Uri = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    Shape(r"(hf|s3|gs|https)://\S+", "cannot be fetched; write hf://OWNER/NAME, s3://…, gs://… or https://…"),
]
Uid = Annotated[
    str,
    Field(max_length=36),
    Shape(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "is not the uid of a job; see metadata.uid of the one to continue",
    ),
]


class Source(Part):
    """Something the prepare pod fetches before training starts."""

    uri: Uri = Field(description="hf://OWNER/NAME, s3://…, gs://… or https://….")
    revision: str | None = Field(
        default=None, min_length=1, max_length=256, description="Branch, tag or commit on the hub."
    )
    secret_ref: Reference | None = Field(
        default=None, description="Secret whose keys become environment variables while fetching."
    )


class ModelInput(Part):
    """The model to start from; without it, config.model names one that the prepare pod fetches."""

    volume: Volume | None = Field(default=None, description="A volume that holds the model's files.")
    source: Source | None = Field(default=None, description="Where the model is fetched from.")
    mount_path: AbsolutePath = Field(default="/model", description="Where config finds the model.")


class DatasetInput(Part):
    """The dataset; without volume and source, config names one of the hub."""

    volume: Volume | None = Field(default=None, description="A volume that holds the data files.")
    source: Source | None = Field(default=None, description="Where the data is fetched from.")
    mount_path: AbsolutePath = Field(default="/data", description="Where config's data_dir finds the data.")


class Code(Part):
    """Python modules for preprocessing_fn, on PYTHONPATH, mounted read-only."""

    config_map: Reference = Field(description="A ConfigMap whose keys are file names such as preprocessing.py.")


class ClaimResources(Part):
    """How much storage is asked for."""

    requests: Quantities = Field(description="storage: the size, such as 100Gi.")


class ClaimSpec(Part):
    """The claim that is created for the job."""

    access_modes: list[Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]] = Field(
        min_length=1, max_length=3, description="ReadWriteMany is needed for more than one node."
    )
    resources: ClaimResources = Field(description="The size.")
    storage_class_name: Name | None = Field(default=None, description="Default: the cluster's default class.")


class ClaimTemplate(Part):
    """A claim made for this job, named after it."""

    spec: ClaimSpec = Field(description="The claim.")
    when_deleted: Literal["Retain", "Delete"] = Field(
        default="Retain", description="What happens to the claim when the job is deleted."
    )


class Output(Part):
    """Where prepared data, checkpoints, metrics and the model are written."""

    volume: OutputVolume | None = Field(default=None, description="An existing claim.")
    volume_claim_template: ClaimTemplate | None = Field(default=None, description="A claim to create.")
    sub_path: SubPath | None = Field(default=None, description="Directory of the volume to use.")
    resume_from: Uid | None = Field(default=None, description="uid of the job whose output this one continues.")
