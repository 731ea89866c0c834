"""One room per component of the platform, and `catalog`, the one explicit tuple of them.

Belongs here: all that one component needs (settings, objects, checks, stand-in chart, programs). Rooms do not import
each other. Not: how trees are laid out (rendering/), how anything runs (the running half).
"""
