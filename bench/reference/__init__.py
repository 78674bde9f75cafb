"""The IBL's way to track a video, written anew: what ours is measured against and compared with.

A few frames are put into a video of their own, a network finds the anchors on them, ``ffmpeg`` writes a cropped and
re-encoded video for every network (the right camera first flipped and upscaled into two whole ones), DeepLabCut reads
each back through OpenCV, filters, and the tables are joined.  ``python -m bench.reference`` runs it beside ours.
"""
