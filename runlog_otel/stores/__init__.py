"""Run log stores of our own: they keep the hosts' documents as rows and know no host."""
