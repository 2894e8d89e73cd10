"""The nouns of the service, its errors, and the Store port.

May import: nothing of this project. Pure.
"""
