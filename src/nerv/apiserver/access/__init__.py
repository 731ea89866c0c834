"""Authorization: RBAC evaluated from Role and Binding objects, the roles every cluster has, and access reviews.

Belongs here: who may do what. Not: who somebody is (`nerv.apiserver.authentication`).
"""
