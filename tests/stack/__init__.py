"""The files of collector-config and the compose files, run and checked as they are shipped."""
