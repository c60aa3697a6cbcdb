"""Superset for one test on this machine: its own tables lie in the throw-away server."""

import os

SECRET_KEY = os.environ["SUPERSET_KEY"]
SQLALCHEMY_DATABASE_URI = os.environ["SUPERSET_METADATA"]
RATELIMIT_ENABLED = False
# Pages come over plain HTTP from the loopback address.
TALISMAN_ENABLED = False
