"""Running what is asked: from a job to events, files and results, the same for every face.

`drive` is the one place that iterates a session. What looks at a run (a command line, a page, a
notebook, a file on the disk) is a listener of its events and belongs to whoever shows it; what a
step does belongs to `engine`.

Not here: what a step does (`engine`), and what a face looks like (`apps`).
"""
