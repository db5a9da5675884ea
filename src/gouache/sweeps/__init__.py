"""Sweeps: one picture for each combination of prompts, settings and seeds; ranked and compared.

`axes` reads what varies, `cells` makes the pictures' settings and names of it, `scheduler` deals
them out to an executor of `runs`, `folder` keeps what is finished.

Not here: how a picture is painted, and where jobs are done (`runs`).
"""
