"""Cut-pursuit (Landrieu and Obozinski 2017) over one file of voxels; runs in an environment of its
own, because pycut-pursuit needs NumPy < 2.

usage: cut_pursuit.py IN.npz OUT.npz
IN holds count, mode, xyz float32 [V, 3] and, for mode "own", rgb float32 [V, 3] in 0..1; for mode
"ours", feature float32 [V, F], first and other, the graph that our own method cuts; scale, the
logarithm of the regularisation, or NaN to look for the one that meets the count. OUT receives label
int32 [V], scale and ms, the processor time of features, graph and the cut that is kept.

Mode "own" follows Superpoint Transformer (Robert et al., ICCV 2023): 45 neighbours for linearity,
planarity, scattering and verticality, 10 for the graph, positions weighted by 0.1.
"""

import sys
from time import process_time

import numpy as np
import pgeof
from pycut_pursuit.cp_d0_dist import cp_d0_dist

CUTS = 9  # bisections of the regularisation until the count is met


def own_features(xyz, rgb):
    near, square = pgeof.knn_search(xyz, xyz, 45)
    start = np.arange(len(xyz) + 1, dtype=np.uint32) * 45
    shape = pgeof.compute_features(xyz, np.ascontiguousarray(near).ravel(), start, 1, False)
    feature = np.concatenate([0.1 * xyz, rgb, shape[:, :4]], 1).astype(np.float32)
    a = np.repeat(np.arange(len(xyz), dtype=np.int64), 10)
    b = near[:, 1:11].astype(np.int64).ravel()
    distance = np.sqrt(square[:, 1:11].ravel())
    pair, first = np.unique(np.minimum(a, b) * len(xyz) + np.maximum(a, b), return_index=True)
    weight = 1 / (1 + distance[first] / distance.mean())
    source = pair // len(xyz)
    first = np.searchsorted(source, np.arange(len(xyz) + 1))
    return feature, first, pair % len(xyz), weight.astype(np.float32)


def main() -> None:
    task = np.load(sys.argv[1])
    count = int(task["count"])
    begin = process_time()
    if str(task["mode"]) == "own":
        feature, first, other, weight = own_features(task["xyz"], task["rgb"])
    else:
        feature, first, other = task["feature"], task["first"], task["other"]
        weight = np.ones(len(other), np.float32)
    feature = np.asfortranarray((feature - feature.mean(0)).T)
    first, other = first.astype(np.uint32), other.astype(np.uint32)
    features_ms = 1000 * (process_time() - begin)

    # From strong to weak: too many components cost far more time than too few.
    best, low, high = None, None, None
    known = not np.isnan(task["scale"])
    strength = float(task["scale"]) if known else 0.0
    for _ in range(1 if known else CUTS):
        begin = process_time()
        label, _ = cp_d0_dist(
            feature.shape[0],
            feature,
            first,
            other,
            edge_weights=weight * np.float32(np.exp(strength)),
            min_comp_weight=8.0,
            cp_it_max=10,
            split_damp_ratio=0.7,
            max_num_threads=1,
            verbose=False,
        )[:2]
        ms = 1000 * (process_time() - begin)
        found = int(label.max()) + 1
        off = np.log(found / count)
        if best is None or abs(off) < abs(best[0]):
            best = (off, label.astype(np.int32), ms, strength)
        if abs(off) < 0.05:
            break
        if off > 0:
            low = strength
        else:
            high = strength
        if low is not None and high is not None:
            strength = (low + high) / 2
        else:
            strength += np.clip(off, -1.0, 1.0)
    np.savez(sys.argv[2], label=best[1], ms=features_ms + best[2], scale=best[3])


main()
