"""``python -m daemon``: the same as ``trainwright daemon``."""

from daemon.cli.main import daemon_main

if __name__ == "__main__":
    daemon_main()
