"""Claims, checkpoints, rotation and the exported model."""
