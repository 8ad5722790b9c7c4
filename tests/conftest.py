"""What holds for every test: few threads, since tests run side by side, and no model hub."""

import os

# Before torch is imported anywhere; two test processes with a thread for each core would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
