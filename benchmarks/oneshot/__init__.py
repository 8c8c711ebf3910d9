"""Supernets on real images: data, methods, what they find, how they rank, what they cost."""
