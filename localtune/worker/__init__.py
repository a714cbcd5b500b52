"""The code of a worker, and the messages between parent and worker."""
