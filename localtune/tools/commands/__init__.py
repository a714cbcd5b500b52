"""Parts that the programs of the command line share: options, settings, sweeps, tables, JSON."""
