"""Films: a camera that moves while it is painted, scenes, and clips that are painted over.

Not here: how a picture is painted (`engine`), who drives it (`runs.drive`), files of films
(`output.video`).
"""
