"""What `benchmarks/curves.py` is made of: the data, the rivals, the measures."""
