"""What the `finetune` command does about jobs in a cluster: it only reads."""
