"""Ties to other libraries, a module each; importing one needs its library."""
