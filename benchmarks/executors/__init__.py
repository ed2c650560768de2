"""What the training host costs beside the libraries it calls, measured in one run."""
