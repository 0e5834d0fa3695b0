"How most benchmarks here take time: side by side, in turns, medians."

import statistics
import time


def medians(calls, seconds, least=3):
    "The median time of each call, all taken in turns for about `seconds`, `least` times or more."
    times = [[] for _ in calls]
    for call in calls: call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < least:
        for call, taken in zip(calls, times):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]
