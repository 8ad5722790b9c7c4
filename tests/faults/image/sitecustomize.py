"""Where no image has `finetune_faults`: Python imports this by itself when this folder is on PYTHONPATH."""

from importlib import import_module

import_module("finetune_faults")
