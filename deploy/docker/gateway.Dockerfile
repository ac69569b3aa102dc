# The gateway's image: one binary, no shell, no package manager, user 10001. From the repository's root:
#   docker build -f deploy/docker/gateway.Dockerfile -t paygate .
#
# Base images are arguments, so that a mirror or an audited base takes their place; the base needs glibc, libgcc_s and CA certificates.
# Pin both by digest in your own build.
ARG BUILDER=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:latest

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package paygate --bin paygate \
    && mkdir -p /image/usr/local/bin /image/etc/paygate /image/var/lib/paygate \
    && cp target/release/paygate /image/usr/local/bin/ \
    && chown 10001:10000 /image/var/lib/paygate \
    && chmod 0700 /image/var/lib/paygate

FROM ${RUNTIME}
# As one tree: owners and modes of the directories are what a new volume takes over.
COPY --from=build /image/ /
USER 10001:10000
VOLUME ["/var/lib/paygate"]
# 50052 serves health alone; the API and the metrics listen on loopback.
EXPOSE 50052
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/paygate", "probe", "--addr", "http://127.0.0.1:50052"]
ENTRYPOINT ["/usr/local/bin/paygate"]
CMD ["serve", "--config", "/etc/paygate/paygate.toml"]
