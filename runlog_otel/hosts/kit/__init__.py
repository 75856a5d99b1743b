"""What the plugins of all hosts share; knows no host."""
