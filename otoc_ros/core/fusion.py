"""Greedy region fusion: the loops under `otoc_ros.core.supervoxels`.

Every node of a graph starts as a region of its own. Fusing regions i and j of weights w and mean
features μ raises the sum of squared deviations by w_i w_j / (w_i + w_j) |μ_i - μ_j|², and saves
the border between them: the energy of cut-pursuit (Landrieu and Obozinski 2017), minimised from
the other end, bottom up as in region fusion (Nguyen and Brown 2015).

Graphs are adjacency lists: the neighbours of node i are neighbour[start[i] : start[i + 1]].
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from otoc_ros.core.compiled import compiled

ROUNDS = 100  # β has grown by 2¹⁰⁰: only unconnected regions are left


@compiled
def fuse(feature, start, neighbour, count, min_size):  # type: ignore[no-untyped-def]
    """Fuse nodes into exactly `count` regions, or one a component where there are more of those.

    Rounds of growing β, each in the order of the nodes, fuse down to about four regions for each
    one asked; then regions below `min_size` nodes are absorbed, and the cheapest fusion left is
    made until the count is met.

    Args:
        feature: float32 [V, F]. start, neighbour: symmetric adjacency lists of the V nodes.

    Returns:
        int32 [V], regions 0 to M - 1 in the order of their first node.
    """
    nodes = len(feature)
    label = np.arange(nodes).astype(np.int32)
    mean = feature.copy()
    weight = np.ones(nodes, np.float32)
    first, other, length = _forward(start, neighbour)
    regions = nodes
    beta = _median_rise(mean, weight, first, other)
    for _ in range(ROUNDS):
        if regions <= 4 * count or len(other) == 0:
            break
        parent = np.arange(regions).astype(np.int32)
        left = regions
        for i in range(regions):
            for e in range(first[i], first[i + 1]):
                a, b = _root(parent, i), _root(parent, other[e])
                if a == b or left <= 2 * count:
                    continue
                if _rise(mean, weight, a, b) <= beta * np.sqrt(length[e]):
                    _join(mean, weight, parent, a, b)
                    left -= 1
        beta *= 2
        if left < regions:
            new = _numbered(parent)
            for v in range(nodes):
                label[v] = new[label[v]]
            for i in range(regions):
                if parent[i] == i:
                    mean[new[i]] = mean[i]
                    weight[new[i]] = weight[i]
            first, other, length = _contracted(first, other, length, new, left)
            regions = left
    parent = _fuse_cheapest_first(
        mean[:regions].copy(), weight[:regions].copy(), first, other, length, count, min_size
    )
    new = _numbered(parent)
    for v in range(nodes):
        label[v] = new[label[v]]
    return label


@compiled
def exchange_borders(feature, start, neighbour, label, count, smoothness, passes):  # type: ignore[no-untyped-def]
    """Give each border node to the adjacent region that lowers the energy most; in place.

    The energy is the sum of squared deviations from the regions' means, plus `smoothness` for
    every edge between two regions. No region loses its last node.
    """
    nodes, width = feature.shape
    near = np.empty(32, np.int32)
    edges = np.empty(32, np.int32)
    for _ in range(passes):
        total = np.zeros((count, width), np.float64)
        size = np.zeros(count, np.int64)
        for v in range(nodes):
            size[label[v]] += 1
            for c in range(width):
                total[label[v], c] += feature[v, c]
        mean = (total / size.reshape(-1, 1)).astype(np.float32)
        before = label.copy()  # what a node decides must not run on along the order of the nodes
        for v in range(nodes):
            own = before[v]
            found = 0
            at_border = False
            for e in range(start[v], start[v + 1]):
                region = before[neighbour[e]]
                at_border |= region != own
                k = 0
                while k < found and near[k] != region:
                    k += 1
                if k == found:
                    if found == len(near):
                        continue
                    near[k] = region
                    edges[k] = 0
                    found += 1
                edges[k] += 1
            if not at_border or size[own] == 1:
                continue
            best, least = own, np.inf
            for k in range(-1, found):
                region = own if k < 0 else near[k]
                energy = 0.0 if k < 0 else -smoothness * edges[k]
                for c in range(width):
                    energy += (feature[v, c] - mean[region, c]) ** 2
                if energy < least:
                    best, least = region, energy
            if best != own:
                size[own] -= 1
                size[best] += 1
                label[v] = best


@compiled
def _fuse_cheapest_first(mean, weight, first, other, length, count, min_size):  # type: ignore[no-untyped-def]
    """The exact end of `fuse`: always the fusion of least cost for its border; returns parents."""
    regions = len(mean)
    parent = np.arange(regions).astype(np.int32)
    # Each region's edges are a linked list, so that fusing two regions joins two lists.
    target = np.empty(2 * len(other), np.int32)
    border = np.empty(2 * len(other), np.float32)
    after = np.full(2 * len(other), -1, np.int64)
    head = np.full(regions, -1, np.int64)
    node = 0
    for i in range(regions):
        for e in range(first[i], first[i + 1]):
            for side in range(2):
                a = i if side == 0 else np.int64(other[e])
                target[node] = np.int64(other[e]) if side == 0 else i
                border[node] = length[e]
                after[node] = head[a]
                head[a] = node
                node += 1
    stamp = np.zeros(regions, np.int64)
    sum_of = np.zeros(regions, np.float32)
    adjacent = np.empty(regions, np.int32)
    left = regions

    small = np.argsort(weight, kind="mergesort")
    for s in range(regions):
        i = small[s]
        if left <= count:
            break
        if parent[i] != i or weight[i] >= min_size:
            continue
        found = _gather(i, parent, head, target, border, after, sum_of, adjacent)
        best, least = -1, np.inf
        for k in range(found):
            j = adjacent[k]
            cost = _rise(mean, weight, i, j) / np.sqrt(sum_of[j])
            if cost < least or (cost == least and j < best):
                best, least = j, cost
        if best >= 0:
            _join(mean, weight, parent, best, i)
            _append(head, after, best, i)
            left -= 1

    queue = [(np.float64(0.0), np.int64(0), np.int64(0), np.int64(0))]
    queue.pop()
    for i in range(regions):
        if parent[i] == i:
            found = _gather(i, parent, head, target, border, after, sum_of, adjacent)
            for k in range(found):
                j = adjacent[k]
                if i < j:
                    cost = np.float64(_rise(mean, weight, i, j) / np.sqrt(sum_of[j]))
                    queue.append((cost, np.int64(i), np.int64(j), np.int64(0)))
    heapify(queue)
    while left > count and len(queue) > 0:
        _, one, two, when = heappop(queue)
        # Stamps only grow, so their sum tells whether either region has changed since.
        if parent[one] != one or parent[two] != two or stamp[one] + stamp[two] != when:
            continue
        _join(mean, weight, parent, one, two)
        _append(head, after, one, two)
        stamp[one] += 1
        left -= 1
        found = _gather(one, parent, head, target, border, after, sum_of, adjacent)
        for k in range(found):
            near = np.int64(adjacent[k])
            cost = np.float64(_rise(mean, weight, one, near) / np.sqrt(sum_of[near]))
            heappush(queue, (cost, min(one, near), max(one, near), stamp[one] + stamp[near]))
    return parent


@compiled
def _gather(i, parent, head, target, border, after, sum_of, adjacent):  # type: ignore[no-untyped-def]
    """The regions next to region i into `adjacent`, their borders into `sum_of`; how many.

    Edges that have become parallel are merged, edges inside region i dropped.
    """
    found = 0
    e = head[i]
    while e >= 0:
        sum_of[_root(parent, target[e])] = 0.0
        e = after[e]
    sum_of[i] = -1.0
    kept = np.int64(-1)
    e = head[i]
    head[i] = -1
    while e >= 0:
        following = after[e]
        j = _root(parent, target[e])
        if j != i:
            if sum_of[j] == 0.0:
                adjacent[found] = j
                found += 1
                target[e] = j
                after[e] = -1
                if kept < 0:
                    head[i] = e
                else:
                    after[kept] = e
                kept = e
            sum_of[j] += border[e]
        e = following
    e = head[i]
    while e >= 0:
        border[e] = sum_of[target[e]]
        e = after[e]
    return found


@compiled
def _append(head, after, i, j):  # type: ignore[no-untyped-def]
    """Move the edges of region j to the front of region i's."""
    if head[j] < 0:
        return
    last = head[j]
    while after[last] >= 0:
        last = after[last]
    after[last] = head[i]
    head[i] = head[j]
    head[j] = -1


@compiled
def _forward(start, neighbour):  # type: ignore[no-untyped-def]
    """Each edge once, from its lower node, with a border length of 1."""
    first = np.zeros(len(start), np.int64)
    other = np.empty(len(neighbour) // 2, np.int32)
    found = 0
    for i in range(len(start) - 1):
        for e in range(start[i], start[i + 1]):
            if neighbour[e] > i:
                other[found] = neighbour[e]
                found += 1
        first[i + 1] = found
    return first, other, np.ones(found, np.float32)


@compiled
def _contracted(first, other, length, new, count):  # type: ignore[no-untyped-def]
    """The graph of fused regions: a counting sort by lower region, parallel edges added up."""
    start = np.zeros(count + 1, np.int64)
    for i in range(len(new)):
        for e in range(first[i], first[i + 1]):
            a, b = new[i], new[other[e]]
            if a != b:
                start[min(a, b) + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    to = np.empty(start[count], np.int32)
    border = np.empty(start[count], np.float32)
    place = start[:-1].copy()
    for i in range(len(new)):
        for e in range(first[i], first[i + 1]):
            a, b = new[i], new[other[e]]
            if a != b:
                low = min(a, b)
                to[place[low]] = max(a, b)
                border[place[low]] = length[e]
                place[low] += 1
    seen = np.full(count, -1, np.int64)  # where the edge to a region lies in the merged list
    merged = np.zeros(count + 1, np.int64)
    found = 0
    for i in range(count):
        begin = found
        for e in range(start[i], start[i + 1]):
            j = to[e]
            if seen[j] >= begin:
                border[seen[j]] += border[e]
            else:
                seen[j] = found
                to[found] = j
                border[found] = border[e]
                found += 1
        merged[i + 1] = found
    return merged, to[:found].copy(), border[:found].copy()


@compiled
def _median_rise(mean, weight, first, other):  # type: ignore[no-untyped-def]
    """What fusing two nodes costs in the middle, so that the first round joins the likest half."""
    step = max(1, len(other) // 20000)
    rise = np.empty(len(other) // step + 1, np.float32)
    found = 0
    for i in range(len(first) - 1):
        for e in range(first[i], first[i + 1]):
            if e % step == 0:
                rise[found] = _rise(mean, weight, i, other[e])
                found += 1
    return np.median(rise[:found]) + 1e-9 if found else 1e-9


@compiled
def _numbered(parent):  # type: ignore[no-untyped-def]
    """Region of each node as 0, 1, … in the order of first appearance."""
    number = np.full(len(parent), -1, np.int32)
    new = np.empty(len(parent), np.int32)
    found = 0
    for i in range(len(parent)):
        root = _root(parent, i)
        if number[root] < 0:
            number[root] = found
            found += 1
        new[i] = number[root]
    return new


@compiled
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _rise(mean, weight, a, b):  # type: ignore[no-untyped-def]
    """How much the sum of squared deviations rises when regions a and b become one."""
    distance = np.float32(0.0)
    for c in range(mean.shape[1]):
        step = mean[a, c] - mean[b, c]
        distance += step * step
    return weight[a] * weight[b] / (weight[a] + weight[b]) * distance


@compiled
def _join(mean, weight, parent, a, b):  # type: ignore[no-untyped-def]
    """Region b becomes part of region a."""
    share = weight[b] / (weight[a] + weight[b])
    for c in range(mean.shape[1]):
        mean[a, c] += share * (mean[b, c] - mean[a, c])
    weight[a] += weight[b]
    parent[b] = a
