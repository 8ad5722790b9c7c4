"""The stack that a rank gives when it is asked, by a process of its own that waits in a C function."""

import os
import subprocess
import sys
from pathlib import Path

from finetune_trainer.stack_dump import PARTIAL, STACK_SIGNAL, main_stack, waits_for_peers
from support.launching import wait_until

PROGRAM = """
import sys, threading, time
from pathlib import Path
from finetune_trainer.stack_dump import offer_stack

def wait_for_a_row():
    open(sys.argv[2]).read()  # a FIFO that nobody writes to

def another_thread():
    time.sleep(600)

offer_stack(Path(sys.argv[1]))
threading.Thread(target=another_thread, daemon=True).start()
wait_for_a_row()
"""

MANY_THREADS = """
import sys, threading, time
from pathlib import Path
from finetune_trainer.stack_dump import offer_stack

offer_stack(Path(sys.argv[1]))
for _ in range(120):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
print("ready", flush=True)
time.sleep(600)
"""

DUMP = """main thread 0x0000000000000001
Thread 0x0000000000000002 (most recent call first):
  File "server.py", line 3 in serve
  File "threading.py", line 1 in run

Current thread 0x0000000000000001 (most recent call first):
  File "data.py", line 8 in row
  File "loop.py", line 5 in train
"""


def test_a_process_that_waits_in_c_tells_where_its_main_thread_is(tmp_path: Path) -> None:
    stack, fifo = tmp_path / "stack", tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, stack, fifo]) as process:
        writer = _open_for(process, fifo)
        process.send_signal(STACK_SIGNAL)
        wait_until(lambda: stack.read_text().endswith("in <module>\n"))
        told = main_stack(stack.read_text())
        process.kill()
        os.close(writer)
    assert told is not None
    assert told.splitlines()[-1].endswith("in wait_for_a_row")
    assert "another_thread" not in told


def _open_for(process: "subprocess.Popen[bytes]", fifo: Path) -> int:
    """Open the writing end as soon as the process waits for it, and leave it waiting for data."""
    opened: list[int] = []

    def reader_is_there() -> bool:
        assert process.poll() is None
        try:
            opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # ENXIO: nobody reads yet
            return False
        return True

    wait_until(reader_is_there)
    return opened[0]


def test_the_main_thread_is_found_by_its_number_and_shown_innermost_last() -> None:
    assert main_stack(DUMP) == '  File "loop.py", line 5 in train\n  File "data.py", line 8 in row'


def test_of_several_answers_the_last_counts() -> None:
    again = DUMP.partition("\n")[2].replace("in row", "in another_row")
    told = main_stack(DUMP + "\n" + again)
    assert told is not None
    assert told.endswith("in another_row")


def test_a_process_with_more_threads_than_are_shown_has_answered_all_the_same(tmp_path: Path) -> None:
    stack = tmp_path / "stack"
    with subprocess.Popen([sys.executable, "-c", MANY_THREADS, stack], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(STACK_SIGNAL)
        wait_until(lambda: stack.read_text().endswith("...\n"))
        told = main_stack(stack.read_text())
        process.kill()
    assert told == PARTIAL
    assert not waits_for_peers(told)


def test_an_answer_of_which_the_main_thread_is_still_missing_is_partial() -> None:
    assert main_stack(DUMP.partition("Current")[0]) == PARTIAL


def test_without_an_answer_there_is_no_stack() -> None:
    assert main_stack("") is None
    assert main_stack("main thread 0x0000000000000001\n") is None


def test_a_stack_whose_innermost_frames_are_a_collectives_waits() -> None:
    collective = (
        '  File "world.py", line 3 in any\n  File "/torch/distributed/distributed_c10d.py", line 9 in all_reduce'
    )
    assert waits_for_peers(collective)
    assert not waits_for_peers('  File "/torch/distributed/checkpoint/filesystem.py", line 4 in write')
    assert not waits_for_peers(collective + '\n  File "a.py", line 1 in a' * 3)
