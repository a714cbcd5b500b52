"""``python -m localtune.compat SCRIPT [ARGS...]``."""

from localtune.compat.program import main

if __name__ == "__main__":
    main()
