"""What can be set, and how settings are read, checked, shown and kept. Standard library only.

`sections` and `config` hold the fields, `presets` what other models want. Here belongs all that is
true of a setting wherever it is asked for; what a front end does with it stays there.

Not here: what a front end does with a setting; values that belong to one model or one file.
"""
