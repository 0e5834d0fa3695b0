"""What torch sees: the rooms behind `adapool.functional`, which offers what users call.

From the ground up: `private`, every private name of torch that is needed; `memory`, what a kernel may read; `plain`,
pooling by operations of torch; `operators`, what autograd and torch.compile are told; `ordinary`, what an ordinary pool
is told; `route`, who handles a call; `switch`, torch's own names for our functions; `pyramids`, several sizes from one
reading.
"""

__all__: list[str] = []
