# A container with one static binary and nothing else.
#
#   with a registry:     docker build -t tenzro .
#   without one:         CGO_ENABLED=0 go build -o dist/tenzro . && docker build --target prebuilt -t tenzro .
#
# The node keeps its key, peers and logs in the volume /home/tenzro: lose the volume
# and the node is another node. It listens on all addresses of the container, so
# its API wants a token (`docker exec NAME /tenzro token create me`).
#
# Stages stand in this order because the classic builder builds every stage
# before the wanted one, and only the last two need an image from a registry.

FROM scratch AS base
COPY --chown=65532:65532 deploy/container/home/ /home/tenzro/
ENV TENZRO_HOME=/home/tenzro \
    TENZRO_HTTP=0.0.0.0:8080 \
    TENZRO_METRICS=0.0.0.0:9090
USER 65532:65532
WORKDIR /home/tenzro
VOLUME /home/tenzro
EXPOSE 8080/tcp 9090/tcp 9333/udp 9334/tcp 9334/udp 9335/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/tenzro", "healthcheck"]
ENTRYPOINT ["/tenzro"]
CMD ["run"]

FROM base AS prebuilt
COPY dist/tenzro /tenzro

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /tenzro .

FROM base
COPY --from=build /tenzro /tenzro
