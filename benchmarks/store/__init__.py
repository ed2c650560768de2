"""``make bench-store``: every figure of the event log and the claims, beside the strongest floor there is."""
