"""Fits on a cluster of others: Ray takes jobs that run our own agent, the event log stays the truth."""
