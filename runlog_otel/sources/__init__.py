"""Where runs are read from: folders, databases, servers, the config of a host."""
