"""``make bench-planner``: what planning costs against the naive way, and against the bare arithmetic."""
