"""The command line: a tree of commands, each loaded only when it is called."""
