"""How long a job waits before it tries again."""

from finetune_operator.settings import TimingSettings


def backoff(fruitless: int, timing: TimingSettings) -> float:
    """Return the seconds to wait after so many attempts in a row without a new checkpoint: 0, 0, 2, 4, 8, …"""
    if fruitless <= 1:
        return 0.0
    doublings = min(fruitless - 2, 30)  # beyond, any bound is reached
    return float(min(timing.backoff_most, timing.backoff_base * 2**doublings))
