"""The pages: runs, a run, pipelines, comparisons, read-only, over any source."""
