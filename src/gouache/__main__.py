"""`python -m gouache`."""

from gouache.start import entry

if __name__ == "__main__":
    entry()
