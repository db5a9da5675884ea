"""Files of weights: reading them safely, writing them atomically, and where the shipped ones lie.

`safe` reads, `saving` writes, `fingerprint` names a file by its contents, `shipped` has the paths.
`catalogue` knows the published models, `cache` brings them here (`download`, `hub`) and remembers
them (`records`), `recognise` tells what a local file is.

Not here: what the weights mean: each component reads its own.
"""
