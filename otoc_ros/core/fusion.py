"""Greedy region fusion: the loops under `otoc_ros.core.supervoxels`.

Every node of a graph starts as a region of its own. Fusing regions i and j of weights w and mean
features μ raises the sum of squared deviations by w_i w_j / (w_i + w_j) |μ_i - μ_j|², and saves
the border between them: the energy of cut-pursuit (Landrieu and Obozinski 2017), minimised from
the other end, bottom up as in region fusion (Nguyen and Brown 2015).

A graph lists each edge once, at its lower node: other[first[i] : first[i + 1]] are the higher
neighbours of node i.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from otoc_ros.core.compiled import compiled

BORDER = 0.7  # a border of n edges is worth n^0.7: long ones hold the ragged edge of noisy depth
BESIDE = 8  # regions that a border node tells apart, its own among them
WORTH = (np.arange(4096) ** BORDER).astype(np.float32)
SAMPLE = 1000  # nodes whose edges say what is likely
ROUNDS = 100  # β has grown by 2¹⁰⁰: only unconnected regions are left


@compiled
def fuse(feature, first, other, count, min_size):  # type: ignore[no-untyped-def]
    """Fuse nodes into exactly `count` regions, or one a component where there are more of those.

    Rounds of growing β, each in the order of the nodes, fuse down to about three regions for each
    one asked; then regions below `min_size` nodes are absorbed, and the cheapest fusion left is
    made until the count is met.

    Args:
        feature: float32 [V, F], overwritten. first, other: the graph of the V nodes.

    Returns:
        int32 [V], regions 0 to M - 1 in the order of their first node.
    """
    nodes = len(feature)
    label = np.arange(nodes).astype(np.int32)
    mean = feature
    weight = np.ones(nodes, np.float32)
    length = np.empty(0, np.int32)  # a border of one edge each
    regions = nodes
    beta = _median_rise(mean, weight, first, other)
    for _ in range(ROUNDS):
        if regions <= 3 * count or len(other) == 0:
            break
        parent, left = _fuse_likely(mean, weight, first, other, length, beta, 1.5 * count)
        beta *= 2
        if left < regions:
            new = _numbered(parent)
            for v in range(nodes):
                label[v] = new[label[v]]
            for i in range(regions):
                if parent[i] == i:  # and new[i] <= i: nothing is overwritten before it is moved
                    mean[new[i]] = mean[i]
                    weight[new[i]] = weight[i]
            first, other, length = _contracted(first, other, length, new, left)
            regions = left
    parent = _fuse_cheapest_first(
        mean[:regions], weight[:regions], first, other, length, count, min_size
    )[0]
    new = _numbered(parent)
    for v in range(nodes):
        label[v] = new[label[v]]
    return label


@compiled
def _fuse_likely(mean, weight, first, other, length, beta, enough):  # type: ignore[no-untyped-def]
    """One round: along the edges in their order, fuse what costs at most β for its border.

    Returns:
        parent int32 [regions]; how many regions are left, not below `enough`.
    """
    regions = len(first) - 1
    parent = np.arange(regions).astype(np.int32)
    left = regions
    for i in range(regions):
        a = _root(parent, i)
        for e in range(first[i], first[i + 1]):
            b = _root(parent, other[e])
            if a == b:
                continue
            both = weight[a] + weight[b]
            limit = np.float32(beta * both) * (_worth(length[e]) if len(length) else WORTH[1])
            if weight[a] * weight[b] * _apart(mean, a, mean, b) <= limit:
                if left <= enough:
                    return parent, left
                _join(mean, weight, parent, a, b)
                left -= 1
    return parent, left


@compiled
def fusions(feature, first, other, label, count):  # type: ignore[no-untyped-def]
    """The order in which regions fuse, cheapest first, until one a component is left.

    Args:
        label: int32 [V] in 0..count - 1, the regions to start from.

    Returns:
        int32 [K, 2], the two regions of each fusion; the first gives its name to both.
    """
    width = feature.shape[1]
    total = np.zeros((count, width), np.float64)
    weight = np.zeros(count, np.float32)
    for v in range(len(label)):
        weight[label[v]] += 1
        for c in range(width):
            total[label[v], c] += feature[v, c]
    mean = np.empty((count, width), np.float32)
    for region in range(count):
        for c in range(width):
            mean[region, c] = total[region, c] / max(weight[region], 1)
    start, to, border = _contracted(first, other, np.empty(0, np.int32), label, count)
    return _fuse_cheapest_first(mean, weight, start, to, border, 1, 0)[1]


@compiled
def exchange_borders(feature, first, other, label, count, smoothness, passes):  # type: ignore[no-untyped-def]
    """Give each border node to the adjacent region that lowers the energy most; in place.

    The energy is the sum of squared deviations from the regions' means, plus `smoothness` for
    every edge between two regions. No region loses its last node.
    """
    nodes, width = feature.shape
    total = np.zeros((count, width), np.float64)
    size = np.zeros(count, np.int64)
    for v in range(nodes):
        size[label[v]] += 1
        for c in range(width):
            total[label[v], c] += feature[v, c]
    mean = np.empty((count, width), np.float32)
    for _ in range(passes):
        for region in range(count):
            for c in range(width):
                mean[region, c] = total[region, c] / size[region]
        border, near, edges = _borders(first, other, label)
        # Decided on the labels before the pass: a choice must not run on along the node order.
        chosen = np.empty(len(border), np.int32)
        for i in range(len(border)):
            v = border[i]
            least = np.inf
            for k in range(BESIDE):
                region = near[i, k]
                if region < 0:
                    break
                energy = -smoothness * edges[i, k] + _apart(feature, v, mean, region)
                if energy < least:
                    chosen[i], least = region, energy
        for i in range(len(border)):
            v, own = border[i], label[border[i]]
            if chosen[i] != own and size[own] > 1:
                label[v] = chosen[i]
                size[own] -= 1
                size[chosen[i]] += 1
                for c in range(width):
                    total[own, c] -= feature[v, c]
                    total[chosen[i], c] += feature[v, c]


@compiled
def _borders(first, other, label):  # type: ignore[no-untyped-def]
    """The nodes next to another region: their own and up to seven adjacent regions, with edges.

    Returns:
        border int32 [B]; near int32 [B, 8], the node's own region first, -1 past the last; edges
        int32 [B, 8], how many lead there.
    """
    nodes = len(label)
    place = np.full(nodes, -1, np.int32)
    border = np.empty(nodes, np.int32)
    found = 0
    for i in range(nodes):
        for e in range(first[i], first[i + 1]):
            j = other[e]
            if label[i] != label[j]:
                if place[i] < 0:
                    place[i] = found
                    border[found] = i
                    found += 1
                if place[j] < 0:
                    place[j] = found
                    border[found] = j
                    found += 1
    near = np.full((found, BESIDE), -1, np.int32)
    edges = np.zeros((found, BESIDE), np.int32)
    for p in range(found):
        near[p, 0] = label[border[p]]
    for i in range(nodes):
        for e in range(first[i], first[i + 1]):
            j = other[e]
            if place[i] >= 0:
                _count(near, edges, place[i], label[j])
            if place[j] >= 0:
                _count(near, edges, place[j], label[i])
    return border[:found].copy(), near, edges


@compiled
def _count(near, edges, p, region):  # type: ignore[no-untyped-def]
    for k in range(BESIDE):
        if near[p, k] < 0:
            near[p, k] = region
        if near[p, k] == region:
            edges[p, k] += 1
            return


@compiled
def _fuse_cheapest_first(mean, weight, first, other, length, count, min_size):  # type: ignore[no-untyped-def]
    """The exact end of `fuse`: always the fusion of least cost for its border.

    Returns:
        parent int32 [regions]; the fusions in their order, int32 [K, 2].
    """
    regions = len(mean)
    parent = np.arange(regions).astype(np.int32)
    # Each region's edges are a linked list, so that fusing two regions joins two lists.
    target = np.empty(2 * len(other), np.int32)
    border = np.empty(2 * len(other), np.int32)
    after = np.full(2 * len(other), -1, np.int64)
    head = np.full(regions, -1, np.int64)
    node = 0
    for i in range(regions):
        for e in range(first[i], first[i + 1]):
            for side in range(2):
                a = i if side == 0 else np.int64(other[e])
                target[node] = np.int64(other[e]) if side == 0 else i
                border[node] = length[e] if len(length) else 1
                after[node] = head[a]
                head[a] = node
                node += 1
    stamp = np.zeros(regions, np.int64)
    sum_of = np.zeros(regions, np.int32)
    adjacent = np.empty(regions, np.int32)
    left = regions
    done = np.empty((regions, 2), np.int32)

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
            cost = _rise(mean, weight, i, j) / _worth(sum_of[j])
            if cost < least or (cost == least and j < best):
                best, least = j, cost
        if best >= 0:
            _join(mean, weight, parent, best, i)
            _append(head, after, best, i)
            done[regions - left] = best, i
            left -= 1

    queue = [(np.float64(0.0), np.int64(0), np.int64(0), np.int64(0))]
    queue.pop()
    for i in range(regions):
        if parent[i] == i:
            found = _gather(i, parent, head, target, border, after, sum_of, adjacent)
            for k in range(found):
                j = adjacent[k]
                if i < j:
                    cost = np.float64(_rise(mean, weight, i, j) / _worth(sum_of[j]))
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
        done[regions - left] = one, two
        left -= 1
        found = _gather(one, parent, head, target, border, after, sum_of, adjacent)
        for k in range(found):
            near = np.int64(adjacent[k])
            cost = np.float64(_rise(mean, weight, one, near) / _worth(sum_of[near]))
            heappush(queue, (cost, min(one, near), max(one, near), stamp[one] + stamp[near]))
    return parent, done[: regions - left].copy()


@compiled
def _gather(i, parent, head, target, border, after, sum_of, adjacent):  # type: ignore[no-untyped-def]
    """The regions next to region i into `adjacent`, their borders into `sum_of`; how many.

    Edges that have become parallel are merged, edges inside region i dropped.
    """
    found = 0
    e = head[i]
    while e >= 0:
        sum_of[_root(parent, target[e])] = 0
        e = after[e]
    sum_of[i] = -1
    kept = np.int64(-1)
    e = head[i]
    head[i] = -1
    while e >= 0:
        following = after[e]
        j = _root(parent, target[e])
        if j != i:
            if sum_of[j] == 0:
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
def _contracted(first, other, length, new, count):  # type: ignore[no-untyped-def]
    """The graph of fused regions: a counting sort by lower region, parallel edges added up.

    Args:
        length: int32 [E], edges of the voxel graph in each; empty where that is one each.
        new: int32 [regions], the fused region of each; count: how many those are.
    """
    start = np.zeros(count + 1, np.int32)
    for i in range(len(new)):
        for e in range(first[i], first[i + 1]):
            a, b = new[i], new[other[e]]
            if a != b:
                start[min(a, b) + 1] += 1
    for i in range(count):
        start[i + 1] += start[i]
    to = np.empty(start[count], np.int32)
    border = np.empty(start[count], np.int32)
    place = start[:-1].copy()
    for i in range(len(new)):
        for e in range(first[i], first[i + 1]):
            a, b = new[i], new[other[e]]
            if a != b:
                here = place[min(a, b)]
                to[here], border[here] = max(a, b), length[e] if len(length) else 1
                place[min(a, b)] += 1
    seen = np.full(count, -1, np.int32)  # where the edge to a region lies in the merged list
    merged = np.zeros(count + 1, np.int32)
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
    step = max(1, (len(first) - 1) // SAMPLE)
    edges = 0
    for i in range(0, len(first) - 1, step):
        edges += first[i + 1] - first[i]
    rise = np.empty(edges, np.float32)
    found = 0
    for i in range(0, len(first) - 1, step):
        for e in range(first[i], first[i + 1]):
            rise[found] = _rise(mean, weight, i, other[e])
            found += 1
    return np.median(rise) + 1e-9 if edges else 1e-9


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
def _worth(edges):  # type: ignore[no-untyped-def]
    """What a border of some edges is worth; a table, as powers are slow."""
    return WORTH[edges] if edges < len(WORTH) else np.float32(edges**BORDER)


@compiled
def _rise(mean, weight, a, b):  # type: ignore[no-untyped-def]
    """How much the sum of squared deviations rises when regions a and b become one."""
    return weight[a] * weight[b] / (weight[a] + weight[b]) * _apart(mean, a, mean, b)


@compiled
def _apart(one, a, two, b):  # type: ignore[no-untyped-def]
    """Squared distance of two rows, of a multiple of three columns."""
    # Three sums at a time do not wait for each other.
    first = second = third = np.float32(0.0)
    for c in range(0, one.shape[1], 3):
        u, v, w = (
            one[a, c] - two[b, c],
            one[a, c + 1] - two[b, c + 1],
            one[a, c + 2] - two[b, c + 2],
        )
        first += u * u
        second += v * v
        third += w * w
    return first + second + third


@compiled
def _join(mean, weight, parent, a, b):  # type: ignore[no-untyped-def]
    """Region b becomes part of region a."""
    share = weight[b] / (weight[a] + weight[b])
    for c in range(mean.shape[1]):
        mean[a, c] += share * (mean[b, c] - mean[a, c])
    weight[a] += weight[b]
    parent[b] = a
