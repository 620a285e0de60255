"""A small Function Compute for one machine: asynchronous tasks over three API versions, on loopback.

It is a stranger to its callers, written from the pages of the platform alone: two strangers who agree are
evidence, twins are not. `account` knows the rules and no HTTP; `door` and `operations` know HTTP and no
rules.
"""
