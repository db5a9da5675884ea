"""`python -m gouache`."""

from gouache.apps.cli.main import entry

if __name__ == "__main__":
    entry()
