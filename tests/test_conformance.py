"Every cell of the table of conformance; see conformance.py."

import ast
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as T
from conformance import (
    DTYPES,
    LAYOUTS,
    ONCE,
    OPERATIONS,
    SIZES,
    Held,
    expected,
    few_cells,
    nothing_left_to_torch,
    rows,
    verdict,
)
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import adapool
import adapool.functional as F
from adapool.tensors.memory import address


@pytest.fixture(autouse=True, scope="module")
def kernels():
    with nothing_left_to_torch(): yield
    torch._dynamo.reset()


def unlike_torch(operation, kind, d, which):
    "What is said of the cells of a row, `which` as (type, layout), in which we do not as we should."
    said = {(*cell,): verdict(operation, kind, d, *cell) for cell in which}
    return {cell: what for cell, what in said.items() if what not in expected(operation, kind, cell[1])}


@pytest.mark.parametrize("operation, kind, d", [row for row, cells in few_cells().items() if cells])
def test_as_torch(operation, kind, d):
    assert unlike_torch(operation, kind, d, few_cells()[operation, kind, d]) == {}


@pytest.mark.slow
@pytest.mark.parametrize("operation, kind, d", rows())
def test_as_torch_in_every_type_and_layout(operation, kind, d):
    assert unlike_torch(operation, kind, d, rows()[operation, kind, d]) == {}


def test_the_few_cells_of_an_operation_have_every_type_and_every_layout():
    for operation in OPERATIONS:
        if operation in ONCE: continue
        few = {cell for row, cells in few_cells().items() if row[0] == operation for cell in cells}
        assert tuple(map(set, zip(*few))) == (set(DTYPES), set(LAYOUTS))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_average_of_half_precision_is_summed_in_single(dtype):
    "Better than torch, whose average in three dimensions adds up in the type of the input."
    x = torch.rand(1, 9, 40, 41, 42, generator=torch.Generator().manual_seed(0)).to(DTYPES[dtype])
    exact = T.adaptive_avg_pool3d(x.double(), SIZES[3][1])
    ours, theirs = ((lib.adaptive_avg_pool3d(x, SIZES[3][1]).double() - exact).abs().max() for lib in (F, T))
    assert ours <= max(theirs, torch.finfo(DTYPES[dtype]).eps)


def uses(tree, names):
    "The functions of a module in which one of `names` is called, or is looked up in something."
    def used(node):
        if isinstance(node, ast.Attribute): return node.attr in names
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    return [getattr(part, "name", ast.unparse(part)) for part in tree.body if any(map(used, ast.walk(part)))]


def test_every_address_comes_through_one_gate():
    root = Path(adapool.__file__).parent
    package = {str(path.relative_to(root)): ast.parse(path.read_text()) for path in root.rglob("*.py")}
    memory = "data_ptr", "const_data_ptr", "_data_address", "_data_ptr", "untyped_storage"
    found = {name: uses(tree, memory) for name, tree in package.items()}
    assert found.pop("tensors/memory.py") == ["address"]
    assert not any(found.values()), found
    assert uses(package["tensors/memory.py"], ("job",)) == ["run"]


class Watched(TorchDispatchMode):
    def __torch_dispatch__(self, op, types, args=(), kwargs=None): return op(*args, **(kwargs or {}))


def kinds_of_tensors(x):
    "Tensors of every kind that torch has for the CPU, and one that is elsewhere."
    with torch.inference_mode(): made_there = x * 1
    leaf = x.clone().requires_grad_()
    yield from (x, x[1], x.t()[1:], x[:0], x.half(), x.long(), leaf, leaf * 2, made_there, torch.nn.Parameter(x))
    yield from (torch.complex(x, x).conj().imag, torch._efficientzerotensor(x.shape))
    yield from (torch._to_functional_tensor(x), x.to("meta"), Held(x), FakeTensorMode().from_tensor(x))
    yield from (x.to_sparse(), x.to_sparse_csr(), x.to_mkldnn(), torch.quantize_per_tensor(x, 0.1, 0, torch.quint8))
    yield from (torch.nested.nested_tensor([x, x], layout=layout) for layout in (torch.strided, torch.jagged))


PLAIN = [torch._C._dispatch_keys(x) for x in (torch.zeros(1), torch.inference_mode()(torch.zeros)(1))]


def plain(x): return any(torch._C._dispatch_keys(x) == keys for keys in PLAIN)


def test_the_gate_knows_every_kind_of_tensor():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = [*kinds_of_tensors(torch.rand(2, 4))]
    for x in every:
        assert (address(x) is not None) == plain(x) or x.is_quantized, x
        if plain(x): assert address(x) == x.data_ptr()
    assert 8 < sum(map(plain, every)) < len(every) - 8
    with Watched(): assert address(every[0]) is None
    x = torch.rand(2, 4)
    begin, shared = x.data_ptr(), torch._lazy_clone(x)
    assert [address(t) - begin for t in (x, x[1], shared, shared[1, 2:])] == [0, 16, 0, 24]
    assert torch._C._is_cow_tensor(x) and torch._C._is_cow_tensor(shared)
    asked = []
    note = lambda x: asked.append((address(x), plain(x))) or x.sum()
    for transform in (torch.func.vmap, torch.func.grad, torch.func.functionalize): transform(note)(every[0])
    torch.func.vjp(note, every[0])
    assert asked == [(None, False)] * 4
