"""The page and the API: a process of its own that reads the log and records what people ask for."""
