"""What is right in the exercises of these pages, computed by the package when somebody asks.

Its rooms: `sizes`, `windows`, `arrays`, `tensors`, `kernels`, `files` and `networks` (exercises, by what they are
about), `subjects` (who is asked, and `check`).
"""

from adapool.answers.subjects import check

__all__ = ["check"]
