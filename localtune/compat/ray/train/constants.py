"""Stands for ``ray.train.constants``."""

TRAIN_DATASET_KEY = "train"
WORKER_HOSTNAME = "_hostname"
WORKER_NODE_IP = "_node_ip"
WORKER_PID = "_pid"
