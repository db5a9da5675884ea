"""How the shipped models are made and judged: data set, trainers, evaluation, export.

It stays in the repository: who paints needs none of it, and an installed package stays small. In a
clone, `pip install -e '.[train]'` makes it importable, and `gouache train` is then a command.
Whatever it needs of gouache it imports; gouache imports nothing of it.
"""
