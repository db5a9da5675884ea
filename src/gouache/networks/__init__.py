"""How frozen networks run: which are loaded, where, in what precision, and in how much memory.

`pool` shares them between runs, `models` holds those of one run. What a network is stands in
`generators` and `perceptors`, what it can in `protocols`; what is asked of it, in `engine`.

Not here: what a network is (`generators`, `perceptors`), and what is asked of it (`engine`).
"""
