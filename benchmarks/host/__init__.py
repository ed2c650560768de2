"""Measures the training host as a whole: how fast it takes a plan, what it costs at rest, how busy it is."""
