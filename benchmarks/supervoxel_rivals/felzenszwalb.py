"""Felzenszwalb and Huttenlocher's graph segmentation (IJCV 2004), on any graph."""

import numpy as np

from otoc_ros.core.compiled import compiled


def felzenszwalb(feature, first, other, count, min_size, scale=None):
    """int32 [V], about `count` segments by bisection of the scale k, and k; one pass if given k."""
    source = np.repeat(np.arange(len(first) - 1), np.diff(first)).astype(np.int32)
    distance = np.sqrt(((feature[source] - feature[other]) ** 2).sum(1))
    order = np.argsort(distance)
    low, high = 1e-4, 1e6
    if scale is not None:
        low = high = scale
    for _ in range(24):
        scale = np.sqrt(low * high)
        label, found = _segments(
            source[order], other[order], distance[order], len(feature), scale, min_size
        )
        if abs(found - count) <= 0.03 * count or low == high:
            break
        if found > count:
            low = scale
        else:
            high = scale
    return label, scale


@compiled
def _segments(source, other, distance, nodes, scale, min_size):
    parent = np.arange(nodes).astype(np.int32)
    size = np.ones(nodes, np.int64)
    inner = np.zeros(nodes, np.float64)
    for sweep in range(2):
        for e in range(len(source)):
            a, b = source[e], other[e]
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if a == b:
                continue
            alike = distance[e] <= min(inner[a] + scale / size[a], inner[b] + scale / size[b])
            if (sweep == 0 and alike) or (sweep == 1 and min(size[a], size[b]) < min_size):
                parent[b] = a
                size[a] += size[b]
                inner[a] = max(distance[e], inner[a], inner[b])
    number = np.full(nodes, -1, np.int32)
    label = np.empty(nodes, np.int32)
    found = 0
    for v in range(nodes):
        a = v
        while parent[a] != a:
            a = parent[a]
        if number[a] < 0:
            number[a] = found
            found += 1
        label[v] = number[a]
    return label, found
