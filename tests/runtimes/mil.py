"A small interpreter of the MIL operators in a program that coremltools has converted: prediction needs a Mac."

import numpy as np
import torch

TYPES = {"fp32": np.float32, "fp16": np.float16, "int32": np.int32, "bool": np.bool_, "uint16": np.uint16,
         "int16": np.int16}


def axes(at): return tuple(np.atleast_1d(at)) if at is not None else None


def gather(x, indices, axis=0, **_): return np.take(x, indices, axis=int(axis))


def sliced(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None, **_):
    def at(i):
        if squeeze_mask is not None and squeeze_mask[i]: return int(begin[i])
        first = None if begin_mask is not None and begin_mask[i] else int(begin[i])
        last = None if end_mask is not None and end_mask[i] else int(end[i])
        return slice(first, last, int(stride[i]) if stride is not None else 1)
    return x[tuple(map(at, range(len(begin))))]


def pooled(x, kernel_sizes, kind, strides=None, pad_type="valid", pad=None, exclude_padding_from_average=False, **_):
    d = len(kernel_sizes)
    if pad is None or pad_type != "custom": pad = [0] * 2 * d
    wide = [(0, 0), (0, 0), *zip(pad[::2], pad[1::2])]
    def windows(x, fill):
        x = np.pad(x, wide, constant_values=fill)
        seen = np.lib.stride_tricks.sliding_window_view(x, [*kernel_sizes], [*range(2, 2 + d)])
        return seen[(slice(None), slice(None), *(slice(None, None, int(s)) for s in strides))]
    inner = tuple(range(-d, 0))
    if kind == "max": return windows(x, -np.inf).max(inner)
    counted = windows(np.ones_like(x), 0 if exclude_padding_from_average else 1).sum(inner)
    return (windows(x, 0).sum(inner) / counted).astype(x.dtype)


def product(x, y, transpose_x=False, transpose_y=False, **_):
    return (np.swapaxes(x, -1, -2) if transpose_x else x) @ (np.swapaxes(y, -1, -2) if transpose_y else y)


def expanded(x, axes, **_):
    for at in sorted(a % (x.ndim + len(axes)) for a in axes): x = np.expand_dims(x, at)
    return x


def reshaped(x, shape, **_):
    return x.reshape([n if n else x.shape[i] for i, n in enumerate(shape)])


def argmax(x, axis=-1, keep_dims=False, **_):
    return np.asarray(x.argmax(int(axis), keepdims=bool(keep_dims)), np.int32)


def reduced(function): return lambda x, axes=None, keep_dims=False, **_: function(
    x, axis=tuple(axes) if axes is not None else None, keepdims=bool(keep_dims)).astype(x.dtype)


def both(function): return lambda x, y, **_: np.asarray(function(x, y))


OPERATORS = {
    "add": both(np.add), "sub": both(np.subtract), "mul": both(np.multiply), "real_div": both(np.divide),
    "floor_div": both(np.floor_divide), "maximum": both(np.maximum), "minimum": both(np.minimum),
    "less": both(np.less), "less_equal": both(np.less_equal), "greater_equal": both(np.greater_equal),
    "equal": both(np.equal), "not_equal": both(np.not_equal), "greater": both(np.greater),
    "logical_and": both(np.logical_and),
    "matmul": product, "gather": gather, "slice_by_index": sliced,
    "linear": lambda x, weight, bias=0, **_: x @ weight.T + bias,
    "relu": lambda x, **_: np.maximum(x, 0),
    "cast": lambda x, dtype, **_: np.asarray(x).astype(TYPES[str(dtype)]),
    "shape": lambda x, **_: np.array(x.shape, np.int32),
    "select": lambda cond, a, b, **_: np.where(cond, a, b),
    "reverse": lambda x, axes=None, **_: np.flip(x, tuple(axes) if axes is not None else None),
    "fill": lambda shape, value, **_: np.full(shape, value),
    "range_1d": lambda start, end, step, **_: np.arange(start, end, step, dtype=np.asarray(end).dtype),
    "expand_dims": expanded, "squeeze": lambda x, axes=None, **_: x.squeeze(tuple(axes)), "reshape": reshaped,
    "transpose": lambda x, perm, **_: np.transpose(x, tuple(perm)),
    "conv": lambda x, weight, **_: np.einsum("nc...,oc->no...", x, weight.reshape(weight.shape[:2])),  # of one cell
    "concat": lambda values, axis, **_: np.concatenate([np.atleast_1d(v) for v in values], int(axis)),
    "gather_along_axis": lambda x, indices, axis=0, **_: np.take_along_axis(x, indices, int(axis)),
    "reduce_mean": reduced(np.mean), "reduce_sum": reduced(np.sum), "reduce_max": reduced(np.max),
    "reduce_argmax": argmax,
    "max_pool": lambda x, kernel_sizes, **o: pooled(x, kernel_sizes, "max", **o),
    "avg_pool": lambda x, kernel_sizes, **o: pooled(x, kernel_sizes, "avg", **o),
}


def run(program, *inputs):
    "What the program gives, as tensors."
    main = program.functions["main"]
    known = dict(zip(main.inputs, (x.numpy() for x in inputs), strict=True))
    def value(var):
        if isinstance(var, (list, tuple)): return [value(v) for v in var]
        return known[var.name] if var.name in known else var.val
    for op in main.operations:
        if op.op_type == "const": continue
        if op.op_type not in OPERATORS: raise NotImplementedError(f"MIL operator {op.op_type}")
        told = {name: value(var) for name, var in op.inputs.items() if var is not None}
        known[op.outputs[0].name] = OPERATORS[op.op_type](**told)
    return [torch.from_numpy(np.ascontiguousarray(value(var))) for var in main.outputs]
