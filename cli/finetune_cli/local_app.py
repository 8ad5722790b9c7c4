"""An `AppDef` running on this machine, through TorchX's local scheduler."""

from pathlib import Path

from torchx.runner import Runner
from torchx.schedulers.local_scheduler import create_scheduler
from torchx.specs import AppDef

from finetune_operator.launch import ROLE

_SCHEDULER = "local_cwd"


class LocalApp:
    """An app and its log files.

    TorchX starts it and tells when it is over. It is not asked to cancel: its way of killing leaves ranks behind.
    """

    def __init__(self, app: AppDef, log_dir: Path) -> None:
        """Get ready; TorchX takes SIGINT and SIGTERM here, so install handlers afterwards."""
        self._runner = Runner("finetune", {_SCHEDULER: create_scheduler})
        # GPUs are shared out between simulated nodes; one node simply sees all of them.
        share_gpus = app.roles[0].num_replicas > 1 and app.roles[0].resource.gpu > 0
        options = {"log_dir": str(log_dir), "auto_set_cuda_visible_devices": share_gpus}
        self._request = self._runner.dryrun(app, _SCHEDULER, options)
        self._log_dir = log_dir

    def start(self) -> None:
        """Start every replica."""
        self._handle = self._runner.schedule(self._request)
        app_id: str = self._handle.rpartition("/")[2]
        self._logs = self._log_dir / "finetune" / app_id / ROLE

    def log(self, replica: int) -> Path:
        """The file that receives everything a replica prints."""
        return self._logs / str(replica) / "combined.log"

    def running(self) -> bool:
        """Whether any replica still runs; once false, the logs are complete."""
        status = self._runner.status(self._handle)
        return status is not None and not status.is_terminal()

    def close(self) -> None:
        """Let TorchX clean up; every replica has ended by then."""
        self._runner.close()
