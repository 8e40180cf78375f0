"""The lake: data sets, generators and runs as objects, and the logs that order them."""
