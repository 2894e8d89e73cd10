"""The contract as an OpenAPI 3.1 document, made from the types that parse and render. Pure.

document.py puts it together. Loaded when somebody first asks for it, see ../docs.py.
"""
