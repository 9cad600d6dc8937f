"""What came out: figures and comparisons."""
