"""Forms of earlier releases of Ray Tune that scripts still use: what they did, what to write today.

::

    rows/, table.py    {old name: what it does, what to write}
       |
       |   when the form is used:
       +--> arguments.py    a function called with an old argument; reports of an old form
       +--> attributes.py   an old attribute or method of a class
       +--> by_trial.py     a trial looked up by its directory
       +--> imports.py      a module, or a name of a module
       +--> trainables.py   a trainable of an old shape
       |        |
       |        +--> use.py   by default:        an error that says what to write
       |                      localtune.compat:  a translation, and one note that says so
       |
       |   in a text, without running it:
       +--> scan.py         finds old names; scopes.py knows what the names in the text mean
                |
                +--> bodies.py           a trainable, before its run starts
                +--> localtune migrate   a file

``localtune.compat`` has the translations, and loads those of a subject when one is needed.
"""
