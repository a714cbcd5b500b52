"""Names the keys and files that results consist of.

The names are Ray Tune's, so that files, dashboards and scripts for it keep working.
"""

from __future__ import annotations

# Set by the user or automatically.
DONE = "done"
SHOULD_CHECKPOINT = "should_checkpoint"
# Present only in the closing reply of a function trainable: "the function returned".
RESULT_DUPLICATE = "__duplicate__"
# Name of the checkpoint directory that a function's report wrote, or None.
CHECKPOINT_DIR_NAME = "checkpoint_dir_name"

# Environment variable with the seed of a trial: an integer from 0 to 2**32 - 1.
TRIAL_SEED_VARIABLE = "LOCALTUNE_TRIAL_SEED"
# Environment variable of a program that is run as a trial: where its reports go.
CHANNEL_VARIABLE = "LOCALTUNE_REPORT_CHANNEL"
# Environment variable for repeating one trial: the seed of each trial of a run.
REPEAT_SEED_VARIABLE = "LOCALTUNE_REPEAT_SEED"
# Environment variable with the largest number of waiting trials; named as in Ray Tune.
MAX_PENDING_VARIABLE = "TUNE_MAX_PENDING_TRIALS_PG"

# Keys of the config that the trainable removes before user code gets it.
TRIAL_INFO = "__trial_info__"
STDOUT_FILE = "__stdout_file__"
STDERR_FILE = "__stderr_file__"

DEFAULT_METRIC = "_metric"

TRAINING_ITERATION = "training_iteration"
TIME_THIS_ITER_S = "time_this_iter_s"
TIME_TOTAL_S = "time_total_s"
TIMESTAMP = "timestamp"
TIMESTEPS_THIS_ITER = "timesteps_this_iter"
TIMESTEPS_TOTAL = "timesteps_total"
EPISODES_THIS_ITER = "episodes_this_iter"
EPISODES_TOTAL = "episodes_total"
MEAN_ACCURACY = "mean_accuracy"
MEAN_LOSS = "mean_loss"
EPISODE_REWARD_MEAN = "episode_reward_mean"

TRIAL_ID = "trial_id"
EXPERIMENT_TAG = "experiment_tag"
PID = "pid"
HOSTNAME = "hostname"
NODE_IP = "node_ip"

# Format of dates in results and in names of files.
DATE_FORMAT = "%Y-%m-%d_%H-%M-%S"

CONFIG_PREFIX = "config"
DEFAULT_EXPERIMENT_NAME = "default"

# Known before the first iteration; no metrics.
DEBUG_METRICS = (
    TRIAL_ID,
    "experiment_id",
    "date",
    TIMESTAMP,
    PID,
    HOSTNAME,
    NODE_IP,
    "config",
)

# Automatic entries, which tables show only on request.
AUTO_RESULT_KEYS = (
    TRAINING_ITERATION,
    TIME_TOTAL_S,
    EPISODES_TOTAL,
    TIMESTEPS_TOTAL,
    NODE_IP,
    HOSTNAME,
    PID,
    TIME_THIS_ITER_S,
    TIMESTAMP,
    "date",
    "time_since_restore",
    "timesteps_since_restore",
    "iterations_since_restore",
    "config",
    CHECKPOINT_DIR_NAME,
)

# Keys of a result that hold no metric of the user's.
NOT_METRICS = frozenset(
    {*AUTO_RESULT_KEYS, *DEBUG_METRICS, DONE, EXPERIMENT_TAG, SHOULD_CHECKPOINT}
)

DEFAULT_RESULT_KEYS = (TRAINING_ITERATION, TIME_TOTAL_S, MEAN_ACCURACY, MEAN_LOSS)

# Files of one trial.
EXPR_RESULT_FILE = "result.json"
EXPR_PROGRESS_FILE = "progress.csv"
EXPR_PARAM_FILE = "params.json"
EXPR_PARAM_PICKLE_FILE = "params.pkl"
EXPR_ERROR_FILE = "error.txt"
EXPR_ERROR_PICKLE_FILE = "error.pkl"
TRIAL_FILES = (
    EXPR_RESULT_FILE,
    EXPR_PROGRESS_FILE,
    EXPR_PARAM_FILE,
    EXPR_PARAM_PICKLE_FILE,
    EXPR_ERROR_FILE,
    EXPR_ERROR_PICKLE_FILE,
)
DICT_CHECKPOINT_FILE = "_dict_checkpoint.pkl"
CHECKPOINT_METADATA_FILE = ".metadata.json"
CHECKPOINT_DIR_FORMAT = "checkpoint_{:06d}"

# Files of one experiment.
TUNER_FILE = "tuner.pkl"
EXPERIMENT_DB_FILE = "experiment.db"
STORAGE_MARKER_FILE = ".validate_storage_marker"
COMMAND_FILE = "command.json"
