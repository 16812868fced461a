"""Networking for Trio."""
