"""The contract every side shares: training configuration, FinetuneJob, outcomes."""
