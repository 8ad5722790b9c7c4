import os
import selectors
import signal

from finetune_trainer.launcher.signals import SignalInbox


def test_signals_are_kept_in_order_and_wake_the_selector() -> None:
    with SignalInbox() as inbox, selectors.DefaultSelector() as selector:
        inbox.register(selector)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert selector.select(5)
        assert inbox.take() == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
        assert inbox.take() == []
        assert selector.select(0) == []


def test_the_handlers_from_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with SignalInbox():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
