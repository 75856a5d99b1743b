"""Every run of a runnable or magnus pipeline as a trace in an observability stack."""
