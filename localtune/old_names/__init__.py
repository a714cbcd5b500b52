"""Forms of earlier releases of Ray Tune that scripts still use: what they did, what to write today.

::

    table.py       {old name: what it does, what to write}
       |
       +--> arguments.py   a function called with an old argument
       +--> attributes.py  an old attribute or method of a class
       +--> imports.py     a module or name that is imported from its old place
       +--> shapes.py      a trainable of an old shape
                |
                +-- by default:        an error that says what to write
                +-- localtune.compat:  a translation, and one note that says what to write

``localtune migrate`` reads the same table. ``localtune.compat`` registers the translations; nothing
else imports them.
"""
