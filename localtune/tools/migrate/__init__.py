"""Changes scripts for Ray Tune into scripts for localtune: ``localtune migrate``.

::

    files.py, notebook.py     the text of a script, or of the code cells of a notebook
       |
    change.py                 round after round, until nothing changes any more:
       |
       +-- localtune.old_names.scan     old names in it       --> rewriters.py: one per row
       +-- imports.py                   names of Ray          --> today.py: their place
       +-- ray_calls.py                 calls of Ray itself   --> ray_starts.py: its starts
       |
    source.py, edits.py       small edits of the text: all else stays as it is
"""
