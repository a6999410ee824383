//! The MCP handler and the two transports.
