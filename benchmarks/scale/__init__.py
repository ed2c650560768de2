"""Many hosts on one log: a simulation of a thousand in the real code, and the rate of a real log."""
