"""tallykv: a key-value and counter service over Redis, made to be rolled out.

May import: nothing of this project.
"""

__version__ = "0.1.0"
