"""Workers on the nodes of a cluster: one design for every engine. See ``executor.py``."""
