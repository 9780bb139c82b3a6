"""Runs one process and writes what it took to a file: in a process of its own, because a process begins
with the peak memory of the one that started it."""

import os
import sys
import time

result, *command = sys.argv[1:]
start = time.perf_counter()
# Without a shell, and without any import that would make this process larger.
process = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(process, 0)
wall = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
with open(result, "w") as file:
    file.write(f"{code} {wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}\n")
