"""The launcher: prepares the data, runs torchrun for one node's ranks, and says truthfully how it ended."""
