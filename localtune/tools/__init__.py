"""Programs: command line, report, check."""
