"""What runs in a training pod: prepare, train, checkpoint, export."""
