"""What a rank needs to know beyond torchrun's environment: one small JSON file, written by the launcher."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class RunSpec(BaseModel):
    """Everything a worker is told about its run; written to `RUN_DIR/spec.json` before any rank starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Path = Field(description="The resolved training configuration, YAML or JSON.")
    output: Path = Field(description="Where checkpoints, metrics, the report and the model go.")
    run_dir: Path = Field(description="This node's private directory for this attempt; see `RunDir`.")
    cache: Path = Field(description="Where prepared data lies, by content hash.")
    attempt: int = Field(ge=0, description="The number of this attempt; 0 is the first.")
    job_uid: str = Field(min_length=1, description="With the attempt, the fencing token of everything written.")
    resume_from: str | None = Field(default=None, description="Another job's uid whose checkpoints may be used.")
    code_dir: Path | None = Field(default=None, description="The folder of the user's own modules.")
    preflight: bool = Field(default=False, description="Whether the ranks try their connections before they train.")
    progress_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of /progress and /metrics on rank 0; none: not served.",
    )

    def save(self, path: Path) -> None:
        """Write the specification as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "RunSpec":
        """Read a specification; raises `pydantic.ValidationError` when it is not one."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
