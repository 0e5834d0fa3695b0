"""Shapes from real code: what the benchmarks go through.

(input shape, output size), and what differs: `d`, the number of pooled axes, is otherwise that of a batched input;
`dtype` is otherwise float32; `indices` asks for the places of the maxima.
"""

AVERAGE = [
    # ResNet-50's head, and the scales of PSPNet on ADE20K and on Cityscapes
    ((128, 2048, 7, 7), 1), ((128, 2048, 7, 7), 2),
    *(((8, 2048, 60, 60), m) for m in (1, 2, 3, 6)),
    *(((2, 2048, 64, 128), m) for m in (1, 2, 3, 6)),
    # VGG's and AlexNet's heads, on 224 pixels and on other sizes
    *(((8, 512, n, n), 7) for n in (1, 7, 8, 14, 16)),
    ((8, 256, 6, 6), 6), ((8, 256, 7, 7), 6), ((32, 512, 14, 14), 7), ((64, 256, 13, 13), 6),
    # transformers and mobile networks: PVTv2, TopFormer, coordinate attention
    ((4, 64, 56, 56), 7), ((4, 128, 28, 28), 7), ((4, 320, 14, 14), 7), ((4, 512, 7, 7), 7),
    ((2, 32, 128, 128), 8), ((2, 64, 64, 64), 8), ((2, 128, 32, 32), 8),
    ((8, 64, 40, 40), (None, 1)), ((8, 64, 40, 40), (1, None)),
    # large maps, thumbnails, and sizes that hardly shrink
    ((16, 64, 224, 224), 7), ((16, 64, 224, 224), 50), ((8, 64, 112, 112), 100), ((8, 64, 56, 56), 7),
    ((1, 3, 4096, 4096), 224), ((1, 3, 4096, 4096), 1000), ((8, 3, 1024, 1024), 512), ((8, 3, 1024, 1024), 256),
    *(((256, 512, 512), m, {"d": 2}) for m in (255, 256, 257)), ((1, 3, 200, 400), 2), ((8, 1024, 24, 24), 12),
    # small ones, where the call itself is what costs
    *(((4, 3, 32, 32), m) for m in (1, 7, 14, 16)),
    ((1, 3, 12, 12), 7), ((1, 1, 8, 8), (6, 1)), ((1, 1, 2, 2), 4), ((2, 3, 4, 10), (8, 5)),
    ((1, 64, 8, 9), (5, 7)), ((1, 64, 10, 9), 7), ((1, 64, 10, 9), (None, 7)),
    # one and three dimensions: audio, video
    ((16, 768, 499), 50), ((1, 3, 98), 5), ((54, 72, 25), 1), ((2, 2048, 8, 7, 7), 1),
    *(((8, 54, 16, 112, 112), m) for m in (1, 3, 7, 13)), ((10, 90, 90, 50), 4, {"d": 3}),
    ((2, 16, 16, 5), 3, {"d": 3}),
]
MAXIMUM = [
    *(((16, 256, 13, 13), m) for m in (1, 2, 3, 6)),  # SPP
    ((32, 512, 14, 14), 7), ((16, 64, 224, 224), 50), ((8, 64, 56, 56), 7), ((8, 64, 112, 112), 100),
    ((8, 2048, 60, 60), 6),
    ((4, 3, 32, 32), 7), ((1, 64, 8, 9), (5, 7)), ((1, 1, 5, 5), 3, {"indices": True}), ((16, 768, 499), 50),
    ((2, 512, 8, 7, 7), 1), ((1, 1, 65536), 1, {"dtype": "float16", "indices": True}),
]
# arrays, pooled by a divisor: (shape, block)
ARRAYS = [((4096, 4096), 16), ((1080, 1920, 3), 8), ((512, 512), 2), ((2048, 2048, 3), 4)]
# what the way to the kernel is shown on: (planes, H, W), output size
STEPS = [((4096, 14, 14), 7), ((4096, 13, 13), 6), ((512, 56, 56), 7), ((256, 112, 112), 50), ((64, 224, 224), 100)]
# what errors are measured on: windows of a few cells up to a million
ERRORS = [((16, 64, 13, 13), 6), ((8, 64, 56, 56), 7), ((2, 16, 224, 224), 50), ((2, 8, 1024, 1024), 2),
          ((2, 8, 1000, 1000), 1)]
# and memory: large inputs, of which a copy would be seen
LARGE = [((8, 2048, 60, 60), 6), ((16, 64, 224, 224), 50), ((1, 3, 4096, 4096), 1000), ((1, 3, 2000, 3000), 7),
         ((256, 1, 512, 512), 255), ((8, 64, 112, 112), 100), ((8, 54, 16, 112, 112), 7)]
# windows of very many cells: over reading them, and what memory they take
LONG = [*(((1, 1, 10**6), m) for m in (1, 3)), *(((1, 1, 10**7), m) for m in (1, 2, 3, 4, 7)),
        ((1, 1, 4001, 3000), (3, 2))]
