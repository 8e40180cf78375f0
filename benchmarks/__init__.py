"""What we measure, each by one command, results stored beside the code: `python -m benchmarks`."""
