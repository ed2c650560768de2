"""What the commands cost that people type all day, with 10,000 jobs in the log."""
