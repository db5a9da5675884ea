"""Token priors: small transformers that propose a picture's codes from its prompt.

Not here: which of the proposals is taken (`engine.starts`); training (`gouache_training`).
"""
