# One binary on a base without a shell or a package manager, run by nobody in particular.
#   docker build -t zoho-mcp .
# `deploy/pin` writes the digests of the bases behind their tags, so that the same bytes are built on.
ARG RUST=docker.io/library/rust:1.95-trixie
ARG BASE=gcr.io/distroless/base-nossl-debian13:nonroot

FROM ${RUST} AS tools
RUN cargo install --locked --root /tools cargo-auditable@0.7.7 cargo-cyclonedx@0.5.9

FROM ${RUST} AS build
COPY --from=tools /tools/bin /usr/local/bin
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
# What it is made of is told twice: inside the binary, where scanners of images look, and beside it
# as CycloneDX. The folder that is compiled into is a cache and not part of any layer. Of C libraries the
# base has glibc; libgcc, which unwinds panics, is the one that comes along.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo auditable build --locked --profile dist --bin zoho-mcp \
    && cargo cyclonedx --format json --describe crate \
    && install -D -m 0755 target/dist/zoho-mcp /out/usr/local/bin/zoho-mcp \
    && install -D -m 0644 zoho-mcp.cdx.json /out/usr/share/sbom/zoho-mcp.cdx.json \
    && install -D -m 0644 -t "/out/usr/lib/$(uname -m)-linux-gnu" "/usr/lib/$(uname -m)-linux-gnu/libgcc_s.so.1"

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="zoho-mcp" \
      org.opencontainers.image.description="An MCP server between AI agents and a company's live Zoho CRM" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/ /
# Secrets and files are found relative to the configuration.
WORKDIR /etc/zoho-mcp
USER 65532:65532
EXPOSE 3000
# The daemon is process 1: it hears SIGTERM itself, answers what has come, and leaves.
STOPSIGNAL SIGTERM
# Docker's own; ECS and Kubernetes have theirs. ZOHO_MCP_HEALTH_URL says where else to ask, or that
# the listener speaks TLS.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/zoho-mcp", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/zoho-mcp"]
CMD ["serve", "--config", "/etc/zoho-mcp/zoho-mcp.toml"]
