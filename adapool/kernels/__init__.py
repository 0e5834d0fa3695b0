"""Fast pooling on the CPU: from windows and strides to a job that machine code does.

Its rooms, from the ground up: vectors, llvm, geometry, reduce, rows, strided, indices, planes, channels, counted,
gradients, offsets, runs, machine, compile, tables, threads, axes, plan, quick, back, jobs, arrays, counts. Numba and
LLVM are imported when a kernel has to be compiled, and not before.
"""

from adapool.kernels.compile import BYTES, cache_folder, can_compile, compiled
from adapool.kernels.jobs import (
    COMPUTE, back_job, both_job, job, last_job, new_job, put_job, quick_job, runs_job, scatter_job)
from adapool.kernels.threads import parallel_for, threads_to_use

__all__ = ["BYTES", "COMPUTE", "back_job", "both_job", "cache_folder", "can_compile", "compiled", "job", "last_job", "new_job",
           "put_job", "quick_job", "runs_job", "scatter_job", "parallel_for", "threads_to_use"]
