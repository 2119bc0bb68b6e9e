"""``python -m netsim``: the command line where no ``netsim`` program is on the path."""

from netsim.cli import main

if __name__ == "__main__":
    main()
