"""How frozen networks run: which are loaded, where, in what precision, and in how much memory.

What a network is stands in `generators` and `perceptors`; what is asked of it, in `engine`.
"""
