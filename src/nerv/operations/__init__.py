"""What can be done with a platform: bring up, status, list, stop, reset. The two halves meet here and nowhere else.

Belongs here: composing rooms; functions that command line and console share. Not: output formats, pages.
"""
