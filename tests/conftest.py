"""Tests speak English, whatever the developer speaks."""

import os

os.environ["LC_ALL"] = "C.UTF-8"
