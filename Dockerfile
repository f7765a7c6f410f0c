# syntax=docker/dockerfile:1
# The images that build have everything that needs; the one that runs has next to nothing.

FROM node:24-bookworm-slim AS page
WORKDIR /src/frontend
# Only what decides about packages, so that they are fetched again only when that changes. The browser is for tests.
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
COPY frontend/packages/client/package.json packages/client/
RUN PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund
COPY frontend .
RUN npm run build

FROM rust:1.95-bookworm AS manifests
WORKDIR /src
COPY . .
# Only what decides about dependencies, with an empty source for every crate: this stage is rebuilt on every change, but
# its result, and so the layer that builds the dependencies, changes only when a manifest or the lock file does.
RUN mkdir /manifests \
    && find . -name Cargo.toml -not -path './target/*' -exec cp --parents {} /manifests \; \
    && cp --parents Cargo.lock .cargo/config.toml /manifests \
    && cd /manifests \
    && find . -name Cargo.toml -printf '%h/src\n' | xargs mkdir -p \
    && find . -type d -name src -exec touch {}/lib.rs \; \
    && echo 'fn main() {}' > src/main.rs

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY --from=manifests /manifests .
RUN cargo build --locked --release --package evergrant
COPY . .
# The page is compiled into the program.
COPY --from=page /src/frontend/dist frontend/dist
# Sources keep the dates of the checkout, which are older than the empty ones just built: without a new date cargo would
# take those for current.
RUN find . -name '*.rs' -exec touch {} + && cargo build --locked --release --package evergrant

FROM debian:bookworm-slim
# The certificates of public authorities, for calls to providers.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 evergrant \
    && useradd --system --uid 10001 --gid evergrant --home-dir /var/lib/evergrant --create-home evergrant
COPY --from=build /src/target/release/evergrant /usr/local/bin/evergrant
USER evergrant
WORKDIR /var/lib/evergrant
# Inside a container every address is its own; what the network may reach is decided by the ports that are published.
ENV EVERGRANT_DATA_DIR=/var/lib/evergrant EVERGRANT_LISTEN=0.0.0.0:8001
VOLUME /var/lib/evergrant
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["evergrant", "healthcheck"]
ENTRYPOINT ["evergrant"]
CMD ["serve"]
