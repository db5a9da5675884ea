"""What painting leaves on disk: pictures with their settings, run folders, states, videos.

Everything is written to a temporary file beside its place and moved there when complete, so that a
failure leaves what was there before.

Not here: when something is written (`runs.keep`), and under which name (`runs.outputs`).
"""
