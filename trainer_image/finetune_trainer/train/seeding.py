"""Random numbers as a function of (seed, step, rank), so that no generator state is ever stored."""

import hashlib

import torch


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed every generator that dropout may use for this step of this rank."""
    digest = hashlib.blake2b(f"{seed}/{step}/{rank}".encode(), digest_size=8).digest()
    torch.manual_seed(int.from_bytes(digest, "little") >> 1)  # also seeds CUDA; torch takes 63 bits
