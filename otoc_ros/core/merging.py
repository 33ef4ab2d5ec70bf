"""Merging neighbouring parts into objects, the likest pair first, until none is alike enough."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from otoc_ros.core.compiled import compiled

FARTHEST = 4.0  # votes that lie farther apart than this many spreads tell no more


@compiled
def merge_parts(size, vote, vote_square, belief, pairs, border, change, weights, limit, blur):  # type: ignore[no-untyped-def]
    """Merge parts that belong to one object.

    The difference of two parts a and b is
        w_vote · |q_a - q_b| / (s_a + s_b + blur)
        + w_class · (1 - cos(√P_a, √P_b)) + d_ab
    of the means q and spreads s of their voxels' votes for the object's centre, their class
    probabilities P, and what keeps them apart at their border, d. The first term asks whether the
    votes are two heaps or one: it has no scale, and where the offsets tell nothing, so that votes
    are spread as wide as the parts, it keeps nothing apart. A merged part has the votes of both and
    their mean √P; what keeps them apart at a border is averaged along it.

    Args:
        size: float64 [M], voxels.
        vote: float64 [M, 3], metres, mean vote; vote_square: float64 [M], mean |vote|².
        belief: float64 [M, C], rows sum to 1.
        pairs: int64 [E, 2], parts that may merge, each pair once.
        border: float64 [E], length of the border; change: float64 [E], d_ab.
        weights: (w_vote, w_class).
        limit: pairs that differ more stay apart.
        blur: metres; what a vote is known to at best.

    Returns:
        int64 [M], the first part of the object that each part belongs to.
    """
    size, vote, vote_square, root = size.copy(), vote.copy(), vote_square.copy(), np.sqrt(belief)
    count = len(size)
    parent = np.arange(count)
    # The borders of a part are a linked list, so that merging two parts joins two lists.
    beside = np.empty(2 * len(pairs), np.int64)
    length = np.empty(2 * len(pairs))
    total = np.empty(2 * len(pairs))
    after = np.empty(2 * len(pairs), np.int64)
    head = np.full(count, -1, np.int64)
    queue = [(0.0, np.int64(0), np.int64(0), np.int64(0))]
    queue.pop()
    for e in range(len(pairs)):
        for side in range(2):
            k, a = 2 * e + side, pairs[e, side]
            beside[k] = pairs[e, 1 - side]
            length[k], total[k] = border[e], border[e] * change[e]
            after[k], head[a] = head[a], k
        a, b = min(pairs[e, 0], pairs[e, 1]), max(pairs[e, 0], pairs[e, 1])
        apart = _difference(vote, vote_square, root, a, b, change[e], weights, limit, blur)
        if apart <= limit:  # it changes only when a or b does, and is looked at again then
            queue.append((apart, a, b, np.int64(0)))
    heapify(queue)
    stamp = np.zeros(count, np.int64)
    met = np.full(count, -1, np.int64)
    while len(queue) > 0:
        _, a, b, when = heappop(queue)
        # Stamps only grow, so their sum tells whether either part has changed since.
        if parent[a] != a or parent[b] != b or stamp[a] + stamp[b] != when:
            continue
        share = size[b] / (size[a] + size[b])
        vote[a] += share * (vote[b] - vote[a])
        vote_square[a] += share * (vote_square[b] - vote_square[a])
        root[a] += share * (root[b] - root[a])
        size[a] += size[b]
        parent[b] = a
        stamp[a] += 1
        _join_borders(a, b, parent, head, after, beside, length, total, met)
        k = head[a]
        while k >= 0:
            c = beside[k]
            d_ac = total[k] / length[k]
            apart = _difference(vote, vote_square, root, a, c, d_ac, weights, limit, blur)
            if apart <= limit:
                heappush(queue, (apart, min(a, c), max(a, c), stamp[a] + stamp[c]))
            k = after[k]
    for part in range(count):
        parent[part] = _root(parent, part)
    return parent


@compiled
def _difference(vote, vote_square, root, a, b, change, weights, limit, blur):  # type: ignore[no-untyped-def]
    gap, spread_a, spread_b = 0.0, vote_square[a], vote_square[b]
    for axis in range(3):
        gap += (vote[a, axis] - vote[b, axis]) ** 2
        spread_a -= vote[a, axis] ** 2
        spread_b -= vote[b, axis] ** 2
    heaps = np.sqrt(gap) / (np.sqrt(max(spread_a, 0.0)) + np.sqrt(max(spread_b, 0.0)) + blur)
    apart = weights[0] * min(heaps, FARTHEST) + change
    if apart > limit:
        return apart
    alike, norm_a, norm_b = 0.0, 0.0, 0.0
    for name in range(root.shape[1]):
        alike += root[a, name] * root[b, name]
        norm_a += root[a, name] ** 2
        norm_b += root[b, name] ** 2
    return apart + weights[1] * (1 - alike / np.sqrt(norm_a * norm_b))


@compiled
def _join_borders(a, b, parent, head, after, beside, length, total, met):  # type: ignore[no-untyped-def]
    """The borders of b become a's: parallel ones are added up, those inside dropped."""
    k = head[b]
    if k >= 0:
        while after[k] >= 0:
            k = after[k]
        after[k], head[a] = head[a], head[b]
    k = head[a]
    head[a] = -1
    while k >= 0:
        following = after[k]
        c = _root(parent, beside[k])
        if c != a:
            beside[k] = c
            if met[c] >= 0:
                length[met[c]] += length[k]
                total[met[c]] += total[k]
            else:
                met[c] = k
                after[k], head[a] = head[a], k
        k = following
    k = head[a]
    while k >= 0:
        met[beside[k]] = -1
        k = after[k]


@compiled
def _root(parent, part):  # type: ignore[no-untyped-def]
    while parent[part] != part:
        parent[part] = parent[parent[part]]
        part = parent[part]
    return part
