"""Watches: what Redis says has changed is read again, and told to those who watch it.

May import: domain, and the modules of ``stores`` beside it.
"""

from .hub import Hub

__all__ = ["Hub"]
