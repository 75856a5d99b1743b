"""What the plugins of runnable and of magnus have in common: wrapper, stores, projects. Imports no host."""
