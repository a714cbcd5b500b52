"""Runs scripts of Ray Tune unchanged: ``ray`` is localtune in this process and its workers.

    python -m localtune.compat SCRIPT [ARGS...]      a script
    python -m localtune.compat -m MODULE [ARGS...]   a module
    import localtune.compat                          in the first line of a script or notebook
    localtune.compat.install()
    pytest --localtune-compat                        tests

::

    import ray.tune ----> finder.py --+-- a module of localtune.compat.ray   (ray, ray.tune, ...)
                                      +-- a module of localtune              (ray.tune.schedulers)
                                      +-- an error that says what to do      (ray.data)
    ray.tune.run(local_dir=...) ----> localtune.old_names ----> translate/
    ray.init, put, remote ----------> cluster.py, objects.py, tasks.py

A trainable that such a process pickles installs the shim in each process that loads it: in workers,
and in a later ``localtune resume``.
"""

from __future__ import annotations

from localtune.compat.install import install as install

__all__ = ["install"]
