"""The life of a platform's secrets: making, reading, changing, rotating, recovering, checking.

Belongs here: everything that opens or changes encrypted files. Not: which files there are and for whom
(nerv.rendering.secrets), the program that writes them (nerv.operations.sops), the folders that keys live in
(nerv.operations.keys, nerv.operations.host_keys).

Every change is computed first and then put in place at once; nothing secret is an argument, a log line or an error.
"""
