"""Where each global batch of a run begins: its rows, and the epochs, rows and tokens that came before it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from finetune_api.config import TrainingConfig
from finetune_api.durations import Duration
from finetune_trainer.data.order import batches_per_epoch, epoch_order


@dataclass(frozen=True)
class Clock:
    """The time at which a batch begins, in every unit a duration may have."""

    batch: int
    epoch: int
    samples: int
    tokens: int


class Timeline:
    """The order of a run's rows, as a function of one integer: the number of batches done."""

    def __init__(
        self,
        lengths: np.ndarray,
        *,
        batch_size: int,
        drop_last: bool,
        shuffle: bool,
        shuffle_seed: int,
        max_duration: Duration,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.shuffle = shuffle
        self.shuffle_seed = shuffle_seed
        self.max_duration = max_duration
        self.batches_per_epoch = batches_per_epoch(len(lengths), batch_size, drop_last)
        self._ordered: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))
        self._epoch_tokens: dict[int, int] = {}

    @classmethod
    def of(cls, config: TrainingConfig, lengths: np.ndarray) -> "Timeline":
        """Return the timeline of a configuration over prepared rows of these lengths (tokens)."""
        dataset = config.train_loader.dataset
        return cls(
            lengths,
            batch_size=config.global_train_batch_size,
            drop_last=config.train_loader.drop_last,
            shuffle=dataset.shuffle,
            shuffle_seed=dataset.shuffle_seed,
            max_duration=config.max_duration,
        )

    def order_settings(self) -> dict[str, int | bool]:
        """Return the settings that decide which rows come when; a resumed run must have the same."""
        return {
            "global_train_batch_size": self.batch_size,
            "train_loader.drop_last": self.drop_last,
            "train_loader.dataset.shuffle": self.shuffle,
            "train_loader.dataset.shuffle_seed": self.shuffle_seed,
        }

    def rows(self, batch: int) -> np.ndarray:
        """Return the prepared-row indices of global batch `batch`, in order; shape (rows,)."""
        epoch, index = divmod(batch, self.batches_per_epoch)
        start = index * self.batch_size
        return self._order(epoch)[start : start + self.batch_size]

    def clock(self, batch: int) -> Clock:
        """Return the time at which global batch `batch` begins."""
        epoch, index = divmod(batch, self.batches_per_epoch)
        return Clock(batch, epoch, self._samples_before(batch), self._tokens_before(epoch, index))

    def batches_in(self, duration: Duration) -> int:
        """Return how many batches run before `duration` has passed, at least one of them for a positive one."""
        match duration.unit:
            case "dur":
                return max(1, int(np.ceil(duration.value * self.total_batches - 1e-9)))
            case "ep":
                return int(np.ceil(duration.value * self.batches_per_epoch - 1e-9))
            case "ba":
                return int(np.ceil(duration.value))
            case "sp":
                return self._first_batch_at(duration.value, "samples")
            case "tok":
                return self._first_batch_at(duration.value, "tokens")

    @cached_property
    def total_batches(self) -> int:
        """The number of optimizer steps of the whole run."""
        return self.batches_in(self.max_duration)

    @property
    def _rows_per_epoch(self) -> int:
        return self.batches_per_epoch * self.batch_size if self.drop_last else len(self.lengths)

    def _order(self, epoch: int) -> np.ndarray:
        if self._ordered[0] != epoch:
            order = epoch_order(len(self.lengths), epoch, shuffle=self.shuffle, shuffle_seed=self.shuffle_seed)
            self._ordered = (epoch, order)
        return self._ordered[1]

    def _samples_before(self, batch: int) -> int:
        epoch, index = divmod(batch, self.batches_per_epoch)
        return epoch * self._rows_per_epoch + index * self.batch_size

    def _tokens_before(self, epoch: int, index: int) -> int:
        earlier = sum(self._tokens_of_epoch(e) for e in range(epoch))
        return earlier + int(self.lengths[self._order(epoch)[: index * self.batch_size]].sum())

    def _tokens_of_epoch(self, epoch: int) -> int:
        # Without drop_last every epoch holds every row, so one sum serves them all.
        key = epoch if self.drop_last and self.shuffle else 0
        if key not in self._epoch_tokens:
            order = epoch_order(len(self.lengths), key, shuffle=self.shuffle, shuffle_seed=self.shuffle_seed)
            self._epoch_tokens[key] = int(self.lengths[order[: self._rows_per_epoch]].sum())
        return self._epoch_tokens[key]

    def _first_batch_at(self, amount: float, quantity: str) -> int:
        """Return the first batch boundary at which `quantity` has reached `amount`."""
        epoch, passed = 0, 0
        while True:
            per_row = self.lengths[self._order(epoch)[: self._rows_per_epoch]] if quantity == "tokens" else None
            in_epoch = int(per_row.sum()) if per_row is not None else self._rows_per_epoch
            if passed + in_epoch >= amount:
                break
            epoch, passed = epoch + 1, passed + in_epoch
        ends = np.append(np.arange(self.batch_size, self._rows_per_epoch, self.batch_size), self._rows_per_epoch)
        reached = passed + (per_row.cumsum()[ends - 1] if per_row is not None else ends)
        return epoch * self.batches_per_epoch + int(np.searchsorted(reached, amount)) + 1
