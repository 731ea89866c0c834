"""Platform -> tree of path -> text. Pure: the same definition gives the same bytes, for ever.

Belongs here: the layout of the repository, the manifest of generated files, finding hand edits.
Not: running sops or git.
"""
