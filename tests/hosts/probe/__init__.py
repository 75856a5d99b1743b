"""A distribution with run log stores of its own, installed by putting a folder on the path."""
