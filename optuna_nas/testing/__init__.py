"""Suites that show whether an extension keeps this project's promises; they need pytest."""
