"""From posed views to a few fused scans: poses, key views, voxel fusion, up, cutting.

`drive.fuse_views` is the way through, one verb a line; everything else here is one of its steps.
"""
