"""The controller: a state machine without I/O, and the loop around it."""
