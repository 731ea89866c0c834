"""`python -m nerv`: the command line."""

from nerv.cli import main

if __name__ == "__main__":
    main()
