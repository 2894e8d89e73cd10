"""Whether metrics, traces and logs are true, and harmless when the service is under strain.

May import: consistency, frame, testbed.
"""
