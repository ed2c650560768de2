"""`python -m planner …` is `trainwright run …`."""

from daemon.cli.main import run_main

if __name__ == "__main__":
    run_main()
