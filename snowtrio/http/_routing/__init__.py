"""Requests to handlers: ``_router`` by method and path, which ``_path_tree`` looks up."""

from ._router import Router

__all__ = ["Router"]
