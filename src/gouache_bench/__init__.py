"""Measuring the loop: ours beside the published one, and beside what the arithmetic alone costs."""
