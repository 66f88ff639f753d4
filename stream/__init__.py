"""Yanshao."""
