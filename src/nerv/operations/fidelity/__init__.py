"""How true the embedded engine is: what the real control plane answered, recorded, against what ours answers.

Belongs here: cases (data), playing them on any engine, taking away what no two runs share, comparing. Not: starting a
platform. A case that is known to differ carries its reason (`gap`), a case whose recording is of another version than
the pinned one says so (`other_version`); both are counted, and a mark that is no longer needed is an error.
"""
