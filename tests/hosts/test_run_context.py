"""Reading a store outside of a run: the host's context and variables stay as they were."""

import os
from types import SimpleNamespace

from runnable import context, defaults

from runlog_otel.hosts.runnable.adapter import HostAdapter, run_context


def test_the_context_before_is_put_back() -> None:
    """A run that reads another one's log goes on with its own context."""
    own = SimpleNamespace(run_id="own")
    context.set_run_context(own)
    try:
        with run_context("other"):
            assert context.get_run_context().run_id == "other"
        assert context.get_run_context() is own
    finally:
        context.set_run_context(None)


def test_asking_for_the_config_file_changes_no_variable() -> None:
    """The config file is looked up, and nothing is written."""
    before = dict(os.environ)
    assert HostAdapter.config_file() == defaults.USER_CONFIG_FILE
    assert dict(os.environ) == before
