"""Instructions of a request, counted by valgrind: nearly the same however busy the machine is.

CPU time tells a percent apart only on a machine that nobody else uses. Instructions of the process
itself, without those of the kernel, do so anywhere.

May import: cost, frame, testbed.
"""
