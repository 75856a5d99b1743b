"""Durations for people."""


def duration_text(duration_ns: int) -> str:
    """A duration as it was measured: `7.2ms`, `1.32s`, `2m07s`, `1h02m07s`."""
    seconds = duration_ns / 1e9
    if seconds < 1:
        return f"{seconds * 1e3:.1f}ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.2f}s"
    return about_text(duration_ns)


def about_text(duration_ns: int) -> str:
    """A duration in whole seconds, for running or estimated parts: `0s`, `12s`, `2m07s`."""
    minutes, seconds = divmod(round(duration_ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m{seconds:02}s"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
