"""Operations on tensors and pictures: codes, warping, normalisation, colour profiles, masks.

Not here: anything that knows a model, a setting or a file of ours.
"""
