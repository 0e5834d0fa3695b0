"Receptive fields: what `trace_shapes` says that an output reads is where its gradient is not zero."

import pytest
import torch

from adapool.networks import trace_shapes


class Between(torch.nn.Module):
    "Two convolutions whose weights are ones, and a reduction between them."
    def __init__(self, reduce, kernel_size, channels=2):
        super().__init__()
        self.reduce, self.first = reduce, torch.nn.Conv2d(2, channels, 3, 2, bias=False)
        self.second = torch.nn.Conv2d(1, 1, kernel_size, bias=False)
        for p in self.parameters(): torch.nn.init.ones_(p)

    def forward(self, x): return self.second(self.reduce(self.first(x)))


@pytest.mark.parametrize("reduce, kernel_size", [
    (lambda x: x.mean(1, keepdim=True), 2),
    (lambda x: x.sum(0)[:1], 2),
    (lambda x: x.mean(dim=(0, 1)).unsqueeze(0), 2),
    (lambda x: x.mean(3, keepdim=True)[:, :1], (2, 1)),
    (lambda x: x.mean((1, 2), keepdim=True), (1, 2)),
    (lambda x: x.mean((1, 2, 3), keepdim=True), 1)],
    ids=["channels", "batch", "batch and channels", "columns", "rows", "all"])
def test_fields_through_reductions(reduce, kernel_size):
    model, shape = Between(reduce, kernel_size), (1, 2, 13, 11)
    x = torch.zeros(shape, requires_grad=True)
    model(x)[..., 0, 0].sum().backward()
    read = x.grad.abs().sum((0, 1)) != 0
    rows = trace_shapes(model, shape)
    assert [row.name for row in rows] == ["first", "second"]
    assert rows[1].fields is not None
    assert tuple(smallest for smallest, _ in rows[1].fields) == (int(read.any(1).sum()), int(read.any(0).sum()))


def test_fields_are_not_known_where_a_reduction_takes_away_one_spatial_axis():
    "Six channels of 6 × 6 cells become one of 6 × 6, whose rows were channels."
    model = Between(lambda x: x.mean(3), 2, channels=6)
    assert [row.fields is None for row in trace_shapes(model, (1, 2, 13, 13))] == [False, True]
