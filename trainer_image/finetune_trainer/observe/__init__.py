"""What rank 0 shows of a run while it runs: `/progress` as JSON and `/metrics` for Prometheus."""

from finetune_trainer.observe.server import Server, serve
from finetune_trainer.observe.state import ProgressFields, RunState

__all__ = ["ProgressFields", "RunState", "Server", "serve"]
