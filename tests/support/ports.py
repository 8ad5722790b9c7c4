"""Ports for tests that listen."""

from finetune_cli.machine import free_port

__all__ = ["free_port"]
