"""What is decided about a job, one policy per file; `finetune_operator.plan` asks them in order."""
