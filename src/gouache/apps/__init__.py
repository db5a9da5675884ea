"""Faces: the command line, the studio, notebooks, and what they show while painting.

Not here: anything that two faces need: that belongs below, in `runs` or further down.
"""
