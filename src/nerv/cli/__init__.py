"""The command line: one module per verb, the one error boundary, output formats.

Belongs here: arguments and presentation. Not: work; verbs call operations, rendering and checks.
"""
