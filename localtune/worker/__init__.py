"""What runs inside a worker, and what parent and worker say to each other."""
