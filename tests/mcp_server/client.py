"""The package's own client, which starts `runlog-otel mcp` as a process of its own and speaks to it over stdio."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters, types
from mcp.client.stdio import stdio_client

COMMAND = [sys.executable, "-m", "runlog_otel", "mcp"]


@dataclass(frozen=True)
class Agent:
    """A client in the middle of a session."""

    portal: BlockingPortal
    client: Client
    errors: Path
    """What the server wrote to standard error."""

    def tools(self) -> dict[str, types.Tool]:
        """The tools by their names."""
        return {tool.name: tool for tool in self.portal.call(self.client.list_tools).tools}

    def call(self, name: str, **arguments: Any) -> types.CallToolResult:
        """Call a tool."""
        result: types.CallToolResult = self.portal.call(self.client.call_tool, name, arguments)
        return result

    def answer(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The answer of a tool: the text says the same as the structured content."""
        result = self.call(name, **arguments)
        assert not result.is_error, result.content
        answer: dict[str, Any] = result.structured_content
        assert json.loads(text_of(result)) == answer
        return answer

    def problem(self, name: str, **arguments: Any) -> str:
        """The error of a tool."""
        result = self.call(name, **arguments)
        assert result.is_error
        assert result.structured_content is None
        return text_of(result)


@contextmanager
def agent(folder: Path, *arguments: str, mode: str = "auto") -> Iterator[Agent]:
    """A session with a server that runs in a folder."""
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *arguments], cwd=str(folder))
    errors = folder / "mcp-stderr.log"
    with errors.open("w", encoding="utf-8") as log, start_blocking_portal() as portal:
        session = Client(stdio_client(server, errlog=log), mode=mode)
        with portal.wrap_async_context_manager(session) as client:
            yield Agent(portal, client, errors)


def text_of(result: types.CallToolResult) -> str:
    """The only content of a result."""
    (content,) = result.content
    assert isinstance(content, types.TextContent)
    return content.text
