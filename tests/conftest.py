"Set before torch is loaded, here and in every process that a test starts."

import os

# Threads that wait for work sleep. By default they keep processors busy, and several test processes share a few.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
