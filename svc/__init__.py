"""tallykv: a key-value and counter service over Redis, made to be rolled out."""

__version__ = "0.1.0"
