"""Example programs: ``python -m localtune.examples.NAME``.

Each program shows one feature. Its option ``--smoke`` runs the smallest form:

=====================  =============================================================
``first_sweep``        a function that reports, and the best configuration
``early_stopping``     ASHA stops bad configurations early
``checkpoints``        a class that saves checkpoints, and a run that is resumed
``population``         Population Based Training changes parameters while it trains
``optuna_search``      Optuna chooses the next configuration
``nested_space``       choices with parameters of their own, and a grid
``shared_resource``    trials that share a licence, a disk or part of a GPU
``watch_a_run``        a callback, a stop condition and TensorBoard
``simulate``           compares schedulers on recorded learning curves, in seconds
``search_cv``          a search estimator for scikit-learn
``debug``              trials in this process, for breakpoints
``digits``             the demo: most of these features in one program
=====================  =============================================================

They need the extra ``demo``; ``optuna_search`` needs ``optuna``, and ``watch_a_run``
``tensorboard``.
"""
