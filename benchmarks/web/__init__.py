"""What the page costs: rendering, many open pages, and what fits lose by it."""
