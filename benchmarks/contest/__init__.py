"""Samplers side by side: tasks, contenders, runs that can be resumed, and tables."""
