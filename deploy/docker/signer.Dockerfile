# The signer's image: one binary, no shell, no package manager, user 10002 in the gateway's group 10000. From the repository's root:
#   docker build -f deploy/docker/signer.Dockerfile -t paygate-signer .
# Run it with --network none --read-only; no key and no passphrase is ever part of it.
#
# Base images are arguments, so that a mirror or an audited base takes their place; the base needs glibc and libgcc_s. Pin both by digest.
ARG BUILDER=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:latest

FROM ${BUILDER} AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package paygate-signer --bin paygate-signer \
    && mkdir -p /image/usr/local/bin /image/etc/paygate-signer /image/var/lib/paygate-signer/journal /image/run/paygate-signer \
    && cp target/release/paygate-signer /image/usr/local/bin/ \
    && chown -R 10002:10000 /image/var/lib/paygate-signer /image/run/paygate-signer \
    && chmod 0700 /image/var/lib/paygate-signer /image/var/lib/paygate-signer/journal \
    && chmod 0750 /image/run/paygate-signer

FROM ${RUNTIME}
# As one tree: owners and modes of the directories are what a new volume takes over.
COPY --from=build /image/ /
USER 10002:10000
VOLUME ["/var/lib/paygate-signer", "/run/paygate-signer"]
STOPSIGNAL SIGTERM
# Its own user may ask for its health, and for nothing else.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/paygate-signer", "probe", "--addr", "unix:/run/paygate-signer/signer.sock"]
ENTRYPOINT ["/usr/local/bin/paygate-signer"]
CMD ["serve", "--config", "/etc/paygate-signer/paygate-signer.toml"]
