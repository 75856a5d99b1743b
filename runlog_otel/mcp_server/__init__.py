"""The MCP server: read-only tools that answer questions about runs. It needs the extra `mcp`."""
