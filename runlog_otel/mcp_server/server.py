"""Serves the tools over standard input and output, with the official package `mcp`.

While it serves, the package lets file descriptor 1 lead to standard error: only the protocol writes to standard output.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import anyio
from anyio import to_thread
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from pydantic import ValidationError

from runlog_otel.core.redaction import Redaction, bounded, redacted
from runlog_otel.errors import ConfigError
from runlog_otel.loggers import package_logger
from runlog_otel.mcp_server.arguments import Arguments
from runlog_otel.mcp_server.documents import text_of
from runlog_otel.mcp_server.tools import INSTRUCTIONS, OUTPUT_SCHEMA, TOOLS, Tool
from runlog_otel.printable import printable
from runlog_otel.sources.port import Source, one_line

logger = package_logger(__name__)

_MAX_ERROR_BYTES = 1_000
_MAX_PROBLEMS = 3


class ToolServer:
    """Answers the requests of one client, one call at a time, because a source is not read by two threads at once.

    Args:
        sources: at least one. With several, each call names one by its `where`.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = {redacted(source.where): source for source in sources}
        self._tools = {tool.name: tool for tool in TOOLS}
        self._redaction = Redaction(tuple(pattern for source in sources for pattern in source.settings.policy.patterns))
        self._one_at_a_time = anyio.CapacityLimiter(1)

    async def list_tools(self, _: Any, __: Any) -> types.ListToolsResult:
        """The answer of `tools/list`."""
        return types.ListToolsResult(tools=[self._described(tool) for tool in self._tools.values()])

    async def call_tool(self, _: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        """The answer of `tools/call`; an error is one line."""
        work = partial(self.answer, params.name, params.arguments or {})
        return await to_thread.run_sync(work, limiter=self._one_at_a_time)

    def answer(self, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
        """Call a tool."""
        try:
            tool = self._tools.get(name)
            if tool is None:
                raise ConfigError("name", f"there is no tool {name!r}; there are {', '.join(self._tools)}")
            parsed = tool.arguments.model_validate(arguments)
            answer = tool.answer(self._source(parsed), parsed)
        except Exception as error:  # noqa: BLE001 the client gets a line, and the server goes on
            problem = self._problem(error)
            logger.warning("%s: %s", self._redaction(name), problem)
            return types.CallToolResult(content=[types.TextContent(type="text", text=problem)], is_error=True)
        content = [types.TextContent(type="text", text=text_of(answer))]
        return types.CallToolResult(content=[*content], structured_content=answer)

    def _source(self, arguments: Arguments) -> Source:
        if len(self._sources) == 1 and not arguments.source:
            return next(iter(self._sources.values()))
        source = self._sources.get(arguments.source)
        if source is None:
            raise ConfigError("source", f"must be one of {', '.join(self._sources)}")
        return source

    def _problem(self, error: Exception) -> str:
        """An error in one line, without secrets: it may repeat an argument."""
        if isinstance(error, ValidationError):
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            named = [f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in problems]
            text = "; ".join(named[:_MAX_PROBLEMS])
        else:
            text = one_line(error)
        return bounded(printable(self._redaction(" ".join(text.split()))), _MAX_ERROR_BYTES)

    def _described(self, tool: Tool[Any]) -> types.Tool:
        return types.Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=self._input_schema(tool.arguments),
            output_schema=OUTPUT_SCHEMA,
            annotations=types.ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
        )

    def _input_schema(self, arguments: type[Arguments]) -> dict[str, Any]:
        """The arguments; a source must be named if there are several, and cannot be if there is one."""
        schema = arguments.model_json_schema()
        properties = {name: {**field} for name, field in schema["properties"].items()}
        for field in properties.values():
            field.pop("title", None)
        required = schema.get("required", [])
        if len(self._sources) == 1:
            del properties["source"]
        else:
            del properties["source"]["default"]
            properties["source"]["enum"] = list(self._sources)
            required = ["source", *required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def serve(sources: Sequence[Source]) -> None:
    """Serve one client over standard input and output, until it closes one of them.

    Args:
        sources: at least one.
    """
    try:
        anyio.run(_serve, sources)
    except Exception as error:
        if not _is_broken_pipe(error):
            raise


async def _serve(sources: Sequence[Source]) -> None:
    tools = ToolServer(sources)
    server: Server[Any] = Server(
        "runlog-otel",
        version=version("runlog-otel"),
        title="Runs of pipelines",
        instructions=INSTRUCTIONS,
        on_list_tools=tools.list_tools,
        on_call_tool=tools.call_tool,
    )
    async with stdio_server() as (requests, responses):
        await server.run(requests, responses, server.create_initialization_options())


def _is_broken_pipe(error: Exception) -> bool:
    """Whether the client reads no more; the tasks of the library raise their errors as a group."""
    parts: Sequence[Exception] = getattr(error, "exceptions", ())
    return isinstance(error, BrokenPipeError) or (bool(parts) and all(map(_is_broken_pipe, parts)))
