"""The operator: the launch description today's CLI and the cluster share."""
